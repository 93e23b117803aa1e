"""The tests' jumping clock keeps the promises of a clock."""

import asyncio

import pytest

from executor.tests.clocks import FakeClock


async def test_sleepers_wake_in_the_order_of_their_times_and_time_passes_meanwhile() -> None:
    clock, woken = FakeClock(), list[tuple[str, float]]()

    async def sleep(name: str, *seconds: float) -> None:
        for part in seconds:
            await clock.sleep(part)
            woken.append((name, clock.monotonic() - 1_000.0))

    await asyncio.gather(sleep("late", 500.0), sleep("early", 10.0, 100.0), sleep("tie", 500.0))
    assert woken == [("early", 10.0), ("early", 110.0), ("late", 500.0), ("tie", 500.0)]


async def test_time_stands_still_while_there_is_work() -> None:
    clock, seen = FakeClock(), list[float]()

    async def work() -> None:
        for _ in range(50):
            await asyncio.sleep(0)
            seen.append(clock.monotonic())

    await asyncio.gather(clock.sleep(1.0), work())
    assert set(seen) == {1_000.0}


async def test_a_timeout_ends_what_would_wait_for_ever_and_spares_what_is_done_before() -> None:
    clock = FakeClock()
    async with clock.timeout_at(clock.monotonic() + 10):
        await clock.sleep(9)
    with pytest.raises(TimeoutError):
        async with clock.timeout_at(clock.monotonic() + 5):
            await asyncio.Event().wait()
    assert clock.monotonic() == 1_014.0


async def test_a_deadline_that_has_passed_ends_the_block_at_its_first_wait() -> None:
    clock = FakeClock()
    with pytest.raises(TimeoutError):
        async with clock.timeout_at(clock.monotonic() - 1):
            await asyncio.Event().wait()


async def test_being_cancelled_from_outside_is_no_timeout() -> None:
    clock = FakeClock()

    async def wait() -> None:
        async with clock.timeout_at(clock.monotonic() + 1_000):
            await asyncio.Event().wait()

    waiting = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
