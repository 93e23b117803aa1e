"""Viewers see every event once, whatever happens to the channel layer, the database or the web server."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from deployments.live.closing import Closing
from deployments.tests.live_clients import bearer, next_message, open_socket
from deployments.tests.site_api import EVERYTHING, SiteApi, new_path
from executor.json_types import Json, JsonObject
from orchestration_site.proving.processes import wait_until_ready
from orchestration_site.proving.servers import PostgresServer, RedisServer, run_server
from orchestration_site.proving.viewers import Viewers, ViewersReport
from orchestration_site.tests.sites import run_distributed_site

pytestmark = [pytest.mark.distributed, pytest.mark.durability]

SOCKETS = 40
EXECUTIONS = 5
#: More than any test lets run: each cancels its executions once it has seen enough.
BLOCKS = 200
SECONDS = 120.0
WITH_TEXT = "openai:latency-100+pieces-60"


@dataclass
class Stage:
    """A distributed site whose servers can be killed."""

    api: SiteApi
    redis: RedisServer
    postgres: PostgresServer

    @property
    def key(self) -> str:
        return str(self.api.http.headers["Authorization"]).removeprefix("Bearer ")

    def start_executions(self, count: int, *, model: str) -> list[str]:
        """Executions of a long chain, whose text is shown while it is written; their ids."""
        stored = self.api.http.post("/api/designs", json=long_chain(model))
        body = {"design_id": stored.json()["id"], "endpoint_path": new_path()}
        deployment_id = self.api.http.post("/api/deployments", json=body).json()["id"]
        started = [
            self.api.http.post(
                f"/api/deployments/{deployment_id}/execute",
                json={"input_data": {}},
                headers={"Prefer": "respond-async"},
            )
            for _ in range(count)
        ]
        assert {answer.status_code for answer in started} == {202}
        return [answer.json()["execution_id"] for answer in started]

    def cancel(self, executions: list[str]) -> None:
        for execution_id in executions:
            assert self.api.http.post(f"/api/executions/{execution_id}/cancel").status_code == 202


def long_chain(model: str) -> JsonObject:
    """A design of one block after the other, of one agent each."""
    names = [f"b{number}" for number in range(BLOCKS)]
    blocks: list[Json] = [
        {
            "id": name,
            "type": "sequential",
            "data": {"label": name, "task": "Say it.", "agents": [{"id": "w", "name": "Writer", "model": model}]},
        }
        for name in names
    ]
    connections: list[Json] = [
        {"id": f"to-{target}", "source": source, "target": target} for source, target in itertools.pairwise(names)
    ]
    return {"format": 1, "name": "Chain", "blocks": blocks, "connections": connections}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        redis = stack.enter_context(run_server(RedisServer))
        postgres = stack.enter_context(run_server(PostgresServer, durable=False))
        site = stack.enter_context(run_distributed_site(postgres.url, redis.url, heartbeat_seconds=1, drain_seconds=1))
        yield Stage(SiteApi(site, site.make_key(scopes=EVERYTHING)), redis, postgres)


async def watch(
    stage: Stage, disturb: Callable[[Viewers], Awaitable[None]], *, model: str = "openai:latency-300"
) -> ViewersReport:
    """What many viewers saw, who were disturbed in the middle, up to the end of their executions."""
    executions = await asyncio.to_thread(stage.start_executions, EXECUTIONS, model=model)
    async with Viewers(stage.api.site.base_url, stage.key, executions, sockets=SOCKETS) as viewers:
        await viewers.until_each_has_seen(6, seconds=SECONDS)
        await disturb(viewers)
        seen = max(len(viewer.seqs) for viewer in viewers.viewers)
        await viewers.until_each_has_seen(seen + 4, seconds=SECONDS)
        await asyncio.to_thread(stage.cancel, executions)
        return await viewers.until_all_is_seen(seconds=SECONDS)


async def until_each_is_shown_text(viewers: Viewers) -> None:
    """Until the channel layer is heard: a model's text comes over nothing else."""
    before = [viewer.deltas for viewer in viewers.viewers]
    await viewers.until(
        lambda: all(viewer.deltas > count for viewer, count in zip(viewers.viewers, before, strict=True)),
        seconds=SECONDS,
    )


async def test_the_channel_layer_is_restarted(stage: Stage) -> None:
    async def restart(viewers: Viewers) -> None:
        await asyncio.to_thread(stage.redis.crash)
        await asyncio.to_thread(stage.redis.start)
        await until_each_is_shown_text(viewers)

    report = await watch(stage, restart, model=WITH_TEXT)
    assert not report.broken, report
    assert (report.connections, report.closings) == (SOCKETS, {Closing.ENDED.code: SOCKETS})


async def test_the_channel_layer_stays_away(stage: Stage) -> None:
    async def kill(viewers: Viewers) -> None:
        await asyncio.to_thread(stage.redis.crash)

    try:
        report = await watch(stage, kill)
    finally:
        await asyncio.to_thread(stage.redis.start)
    assert not report.broken, report
    assert report.connections == SOCKETS


def test_who_came_while_the_layer_was_away_hears_it_once_it_is_back(stage: Stage) -> None:
    """Even where it had never been there: the web process starts while it is away."""
    executions = stage.start_executions(1, model=WITH_TEXT)
    path, web = f"/ws/executions/{executions[0]}", stage.api.site.processes["web"]
    with open_socket(stage.api.site, path, authorization=bearer(stage.key)) as first:
        while next_message(first)["type"] != "delta":
            pass
    stage.redis.crash()
    web.stop()
    web.restart()
    wait_until_alive(stage.api.site.base_url)
    with open_socket(stage.api.site, path, authorization=bearer(stage.key)) as viewer:
        assert next_message(viewer)["seq"] == 1
        stage.redis.start()
        while next_message(viewer)["type"] != "delta":
            pass
    stage.cancel(executions)
    stage.api.wait_for_end(executions[0])


def wait_until_alive(base_url: str) -> None:
    """Until the web process answers, ready or not."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            httpx.get(f"{base_url}/livez")
        except httpx.TransportError:
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return


async def test_the_database_is_away_for_a_moment(stage: Stage) -> None:
    async def kill(viewers: Viewers) -> None:
        await asyncio.to_thread(stage.postgres.crash)
        await asyncio.to_thread(stage.postgres.start)

    report = await watch(stage, kill)
    assert not report.broken, report
    assert report.connections == SOCKETS


async def test_the_database_is_away_for_so_long_that_nobodys_rights_can_be_looked_at(stage: Stage) -> None:
    async def kill(viewers: Viewers) -> None:
        await asyncio.to_thread(stage.postgres.crash)
        try:
            await viewers.until(lambda: all(viewer.closings for viewer in viewers.viewers), seconds=SECONDS)
        finally:
            await asyncio.to_thread(stage.postgres.start)

    report = await watch(stage, kill)
    assert not report.broken, report
    assert report.closings[Closing.UNCHECKED.code] >= SOCKETS


async def test_the_web_server_is_stopped_and_started_and_killed_and_started(stage: Stage) -> None:
    web = stage.api.site.processes["web"]

    def start() -> None:
        web.restart()
        wait_until_ready(stage.api.site.base_url, web)

    async def restart(viewers: Viewers) -> None:
        assert await asyncio.to_thread(web.stop) == 0
        await asyncio.to_thread(start)
        seen = max(len(viewer.seqs) for viewer in viewers.viewers)
        await viewers.until_each_has_seen(seen + 1, seconds=SECONDS)
        web.kill()
        await asyncio.to_thread(start)

    report = await watch(stage, restart)
    assert not report.broken, report
    assert report.closings[Closing.RESTARTING.code] == SOCKETS
    assert report.connections >= SOCKETS * 3
