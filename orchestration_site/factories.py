"""What differs between embedded and distributed, and nothing else does: database, broker, channel layer. And mail.

And who looks on: what measures and traces is named here, and imported only where it is on.
"""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url

POSTGRES_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "server_side_binding": True,
    # A connection whose other end is gone without a word is given up after seconds, not after TCP's quarter of an hour.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    # A process that is stopped, or whose machine is gone, in the middle of a transaction holds locks that others wait
    # for: the server ends its session. Before a schedule that such a beat held counts as missed, at that.
    "options": "-c idle_in_transaction_session_timeout=10s",
}
BROKER_TIMEOUTS = {"socket_connect_timeout": 5, "socket_timeout": 10}
#: Of the schemes of EMAIL_URL: Django's settings, and the usual port.
MAIL_SCHEMES: dict[str, tuple[dict[str, bool], int]] = {
    "smtp": ({}, 25),
    "smtp+tls": ({"EMAIL_USE_TLS": True}, 587),
    "smtps": ({"EMAIL_USE_SSL": True}, 465),
}
MAIL_SECONDS = 15
REDIS_TIMEOUTS = {"socket_connect_timeout": 2, "socket_timeout": 2}


def database(url: str, *, data_dir: Path, pool: int, prepares: bool) -> dict[str, Any]:
    """Django's settings for PostgreSQL (with psycopg's pool), or for SQLite in the data folder."""
    if not url:
        return _sqlite(data_dir / "orchestration.sqlite3")
    settings: dict[str, Any] = dict(dj_database_url.parse(url))
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        return _sqlite(Path(settings["NAME"]))
    settings["ENGINE"] = "orchestration_site.postgresql"
    settings["CONN_MAX_AGE"] = 0  # the pool keeps the connections
    ours = POSTGRES_OPTIONS | {
        "pool": {"min_size": 1, "max_size": pool, "timeout": 10},
        # Of what is marked for it, see `PreparedSql`: the server then plans it once a connection.
        "prepare_threshold": 3 if prepares else None,
    }
    settings["OPTIONS"] = ours | settings.get("OPTIONS", {})
    return settings


def broker(url: str) -> str:
    """The broker's URL; `inprocess://` is registered in `orchestration_site.inprocess_broker`."""
    return url or "inprocess://"


def broker_options(url: str) -> dict[str, Any]:
    """The transport's options: a broker that takes connections and says nothing must not hang who talks to it.

    kombu asks Redis for messages in waits of a second: a socket is never silent for long while Redis is well.
    """
    if not url.startswith(("redis://", "rediss://")):
        return {}
    return BROKER_TIMEOUTS | {"socket_keepalive": True}


def channel_layers(url: str) -> dict[str, Any]:
    """The channel layer for live progress.

    A Redis that takes connections and says nothing fails a caller after seconds: progress is not worth waiting for.
    """
    if not url:
        return {"default": {"BACKEND": "orchestration_site.inprocess_layer.InProcessChannelLayer"}}
    return {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [{"address": url, **REDIS_TIMEOUTS}], "prefix": "orchestration"},
        }
    }


def redis_servers(*urls: str) -> dict[str, str]:
    """Those of the URLs that lead to a Redis, by what is shown of them: without user, password and options."""
    parts = {url: urlsplit(url) for url in urls if url.startswith(("redis://", "rediss://"))}
    return {f"{each.hostname}:{each.port or 6379}": url for url, each in parts.items()}


def observers(*, metrics: bool, traces: bool) -> tuple[str, ...]:
    """Who is told what the site does."""
    telemetry = "orchestration_site.telemetry"
    wanted = {f"{telemetry}.metrics.metrics": metrics, f"{telemetry}.tracing.tracing": traces}
    return tuple(name for name, is_on in wanted.items() if is_on)


def metrics_endpoint(*, metrics: bool) -> str:
    """What answers `/metrics`."""
    telemetry = "orchestration_site.telemetry"
    return f"{telemetry}.endpoint.metrics_endpoint" if metrics else f"{telemetry}.no_metrics.NoMetrics"


def services_of_processes(metrics_port: int) -> tuple[str, ...]:
    """What Celery imports into a worker or a beat, beside its tasks."""
    return ("orchestration_site.telemetry.process_server",) if metrics_port else ()


def mail(url: str) -> dict[str, Any]:
    """Django's settings for the mail server; none without a URL. Raises `ValueError` with what is wrong with it."""
    if not url:
        return {}
    parts = urlsplit(url)
    if parts.scheme not in MAIL_SCHEMES or not parts.hostname:
        raise ValueError(f"it has to be {'://…, '.join(MAIL_SCHEMES)}://… with a host")
    security, usual_port = MAIL_SCHEMES[parts.scheme]
    return security | {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or usual_port,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_TIMEOUT": MAIL_SECONDS,
    }


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "CONN_MAX_AGE": None,  # opening a connection costs more than most of what is asked of it
        "NAME": path,
        "OPTIONS": {
            # A write transaction takes its lock at BEGIN, so that two of them wait instead of failing later.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;",
        },
        # The in-memory test database of SQLite fails under threads.
        "TEST": {"NAME": path.with_suffix(".test.sqlite3")},
    }
