"""A burst of requests starts one in each round of the event loop, in order, and nobody's leaving holds it up."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from executor.providers import openai_chat
from executor.providers.openai_request import write_body
from executor.providers.turns import Turns
from executor.tests.raw_provider import ask, raw_provider
from orchestration_site.proving.mock_provider import MockProvider


async def start(turns: Turns, callers: int) -> tuple[list[asyncio.Task[None]], list[int]]:
    """Callers that all come in one round, and the list of those whose turn has come."""
    begun: list[int] = []

    async def caller(number: int) -> None:
        await turns.take()
        begun.append(number)

    return [asyncio.create_task(caller(number)) for number in range(callers)], begun


async def test_a_caller_alone_does_not_wait() -> None:
    turns = Turns()
    for _ in range(3):
        taking = turns.take()
        with pytest.raises(StopIteration):
            taking.send(None)
        await asyncio.sleep(0)


async def test_turns_come_one_in_a_round_and_in_order() -> None:
    tasks, begun = await start(Turns(), 5)
    counts = []
    while len(begun) < 5:
        await asyncio.sleep(0)
        counts.append(len(begun))
    assert begun == [0, 1, 2, 3, 4]
    assert all(later - earlier <= 1 for earlier, later in pairwise(counts))
    await asyncio.gather(*tasks)


async def test_those_who_leave_hold_nobody_up() -> None:
    turns = Turns()
    tasks, begun = await start(turns, 6)
    await asyncio.sleep(0)
    for number in (1, 2, 5):
        tasks[number].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert begun == [0, 3, 4]
    await asyncio.wait_for(turns.take(), 10)


async def test_the_first_of_a_burst_is_on_its_way_before_the_last_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived: list[int] = []
    async with MockProvider(latency=0.05) as server, raw_provider(base_url=server.base_url) as (_, registry):

        def write_and_note(*arguments: Any, **named: Any) -> bytes:
            arrived.append(server.counters.requests)
            return write_body(*arguments, **named)

        await asyncio.gather(*(ask(registry) for _ in range(20)))
        monkeypatch.setattr(openai_chat, "write_body", write_and_note)
        await asyncio.gather(*(ask(registry) for _ in range(20)))
    assert len(arrived) == 20
    assert arrived[-1] > arrived[0]
