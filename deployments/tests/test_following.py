"""Whoever waits for an execution's end, or follows its events, over a real worker's run."""

import asyncio
import json
import threading
from typing import Any

import pytest

from deployments.executions.worker import Worker
from deployments.live.feed import follow
from deployments.live.waiting import wait_for_end
from deployments.models import ExecutionLog
from deployments.tests.worker_runs import deploy, start
from orchestration_site.proving.mock_provider import MockProvider, Reply

pytestmark = pytest.mark.django_db(transaction=True)


async def collect(execution: ExecutionLog, *, after: int = 0) -> list[dict[str, Any]]:
    return [json.loads(message.text) async for batch in follow(execution.id, after=after) for message in batch]


async def test_a_waiting_caller_is_woken_by_the_end(worker: Worker, provider: MockProvider) -> None:
    execution = (await asyncio.to_thread(start, await asyncio.to_thread(deploy, "mock:latency-100"))).execution
    waiting = asyncio.create_task(wait_for_end(execution.id, seconds=20))
    await asyncio.to_thread(worker.run, execution.id, 0)
    assert await waiting
    assert await wait_for_end(execution.id, seconds=0)


async def test_a_caller_that_listens_first_misses_no_end_however_quick(worker: Worker, provider: MockProvider) -> None:
    deployment = await asyncio.to_thread(deploy, "mock:any")
    execution = (await asyncio.to_thread(start, deployment)).execution
    runs: list[threading.Thread] = []

    def begin() -> None:
        runs.append(threading.Thread(target=worker.run, args=(execution.id, 0)))
        runs[0].start()

    assert await wait_for_end(execution.id, seconds=20, begin=begin)
    await asyncio.to_thread(runs[0].join)
    await asyncio.to_thread(execution.refresh_from_db)
    assert execution.status == "completed"


async def test_waiting_too_long_is_no_error() -> None:
    execution = (await asyncio.to_thread(start, await asyncio.to_thread(deploy))).execution
    assert not await wait_for_end(execution.id, seconds=0.05)


async def test_events_are_followed_live_and_replayed_alike(worker: Worker, provider: MockProvider) -> None:
    provider.base_reply = Reply(latency=0.1)
    execution = (await asyncio.to_thread(start, await asyncio.to_thread(deploy, "mock:any"))).execution
    live = asyncio.create_task(collect(execution))
    await asyncio.to_thread(worker.run, execution.id, 0)
    seen = await live
    assert [message["seq"] for message in seen] == list(range(1, 8))
    assert seen == await collect(execution)
    assert [message["seq"] for message in await collect(execution, after=4)] == [5, 6, 7]
    assert await collect(execution, after=7) == []
    assert set(seen[0]) == {"seq", "type", "block_id", "agent", "payload", "at"}


async def test_the_models_text_is_shown_while_it_is_written(worker: Worker, provider: MockProvider) -> None:
    provider.script = lambda request: Reply(text="one two three four five six", piece_delay=0.1)
    deployment = await asyncio.to_thread(deploy, "mock:any")
    execution = (await asyncio.to_thread(start, deployment, live_text=True)).execution
    live = asyncio.create_task(collect(execution))
    await asyncio.to_thread(worker.run, execution.id, 0)
    deltas = [message for message in await live if message["type"] == "delta"]
    assert len(deltas) > 1
    shown = ""
    for delta in deltas:
        assert delta["offset"] <= len(shown)
        shown = shown[: delta["offset"]] + delta["text"]
    assert shown == "one two three four five six"
