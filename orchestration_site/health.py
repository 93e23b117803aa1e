"""`GET /livez`: the process answers. `GET /readyz`: it can do its work, or a problem says which part is away.

Pure ASGI in front of everything else: probes name the server by its address, which `ALLOWED_HOSTS` would refuse, and
have to be answered while every thread is busy.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from celery import current_app
from channels.layers import get_channel_layer
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from orchestration_site.answers import send_answer, send_problem
from orchestration_site.draining import RETRY_AFTER_SECONDS, is_draining
from rest.problems import ApiProblem

#: A part that does not answer within so many seconds is away.
PATIENCE_SECONDS = 2.0
#: An answer is good for so long, so that probes cannot become a load.
REMEMBER_SECONDS = 1.0

log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[None]]


class Readiness:
    """The parts that the site needs, and since when each is away."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._away_since: dict[str, datetime] = {}
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def parts(self) -> dict[str, datetime | None]:
        """Each part with the time since when it is away; None when it is there."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._looked_at >= REMEMBER_SECONDS:
                await asyncio.gather(*(self._look(name, check) for name, check in self._checks.items()))
                self._looked_at = asyncio.get_running_loop().time()
        return {name: self._away_since.get(name) for name in self._checks}

    async def _look(self, name: str, check: Check) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await check()
        except Exception as error:  # noqa: BLE001 - whatever a part's client raises: the part is away
            if name not in self._away_since:
                log.warning("The %s is away: %s", name.replace("_", " "), type(error).__name__)
            self._away_since.setdefault(name, datetime.now(UTC))
            return
        if self._away_since.pop(name, None) is not None:
            log.warning("The %s is back.", name.replace("_", " "))


class InOwnThread:
    """A blocking check on one thread of its own: one that hangs delays nobody else, and is not started twice."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")

    async def __call__(self) -> None:
        await asyncio.wrap_future(self._thread.submit(self._check))


def query_database() -> None:
    """Raises what the driver raises when the database is away."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


class MigrationsCheck:
    """Every migration of this code is applied. Once true it stays true, so it is read from the database once."""

    def __init__(self) -> None:
        self._applied = False

    def __call__(self) -> None:
        """Raises `RuntimeError` when one is missing."""
        if self._applied:
            return
        try:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                raise RuntimeError("Migrations are missing. Type: make migrate")
        finally:
            connection.close()
        self._applied = True


def reach_broker() -> None:
    """Raises what the broker's client raises when it is away."""
    with current_app.connection_for_write(connect_timeout=1) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)


async def reach_channel_layer() -> None:
    """Raises what the layer's client raises when it is away."""
    layer = get_channel_layer()
    if layer is None:
        raise RuntimeError("CHANNEL_LAYERS has no default.")
    await layer.group_send("health", {"type": "health.check"})


def site_readiness() -> Readiness:
    """What this site needs to do its work."""
    return Readiness(
        {
            "database": InOwnThread(query_database),
            "migrations": InOwnThread(MigrationsCheck()),
            "broker": InOwnThread(reach_broker),
            "channel_layer": reach_channel_layer,
        }
    )


class HealthEndpoints:
    """Answers `/livez` and `/readyz`, and hands on everything else."""

    def __init__(self, app: ASGI3Application, readiness: Readiness) -> None:
        self.app = app
        self.readiness = readiness

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        path = scope["path"].rstrip("/") if scope["type"] == "http" else None
        if scope["type"] != "http" or path not in ("/livez", "/readyz"):
            await self.app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await send_problem(send, ApiProblem(405, "method-not-allowed", "Use GET.", headers={"Allow": "GET, HEAD"}))
        elif path == "/livez":
            await _answer(send, {"status": "alive"})
        elif is_draining():
            await send_problem(send, _not_ready("draining", "This process is being stopped.", {}))
        else:
            await self._answer_readiness(send)

    async def _answer_readiness(self, send: ASGISendCallable) -> None:
        parts = await self.readiness.parts()
        away = {name: since for name, since in parts.items() if since is not None}
        checks = {
            name: {"ok": since is None, "away_since": since and since.isoformat()} for name, since in parts.items()
        }
        if away:
            parts_away = (
                f"{name.replace('_', ' ')} since {since:%Y-%m-%d %H:%M:%S} UTC" for name, since in away.items()
            )
            await send_problem(send, _not_ready("unavailable", f"Away: {', '.join(parts_away)}.", checks))
        else:
            await _answer(send, {"status": "ready", "checks": checks})


def _not_ready(slug: str, sentence: str, checks: dict[str, Any]) -> ApiProblem:
    return ApiProblem(503, slug, sentence, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}, checks=checks)


async def _answer(send: ASGISendCallable, document: dict[str, Any]) -> None:
    await send_answer(send, 200, json.dumps(document).encode(), "application/json")
