"""What differs between embedded and distributed, and nothing else does: database, broker, channel layer."""

from pathlib import Path
from typing import Any

import dj_database_url

REDIS_TIMEOUTS = {"socket_connect_timeout": 2, "socket_timeout": 2}


def database(url: str, *, data_dir: Path, pool: int) -> dict[str, Any]:
    """Django's settings for PostgreSQL (with psycopg's pool), or for SQLite in the data folder."""
    if not url:
        return _sqlite(data_dir / "orchestration.sqlite3")
    settings: dict[str, Any] = dict(dj_database_url.parse(url))
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        return _sqlite(Path(settings["NAME"]))
    settings["ENGINE"] = "orchestration_site.postgresql"
    settings["CONN_MAX_AGE"] = 0  # the pool keeps the connections
    settings["OPTIONS"] = settings.get("OPTIONS", {}) | {
        # The pool tries to reconnect ever more rarely, until its timeout: then whoever asks makes it try at once.
        "pool": {"min_size": 1, "max_size": pool, "timeout": 5, "reconnect_timeout": 5},
        "connect_timeout": 5,
    }
    return settings


def broker(url: str) -> str:
    """The broker's URL; `inprocess://` is registered in `orchestration_site.inprocess_broker`."""
    return url or "inprocess://"


def broker_options(url: str) -> dict[str, Any]:
    """How Celery talks to the broker. A Redis that takes a message and says nothing counts as away after seconds.

    Without that, whoever publishes would wait for as long as its system takes the connection to be alive. RabbitMQ's
    client has such limits of its own.
    """
    return {**REDIS_TIMEOUTS, "socket_keepalive": True} if url.startswith(("redis://", "rediss://")) else {}


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


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
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
