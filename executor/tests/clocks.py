"""Time that jumps, so that hours of waiting pass in a test's milliseconds.

`run_in_virtual_time` makes a whole loop's time virtual, to the exact order of all timers, and needs that nothing waits
for a socket or a thread. `FakeClock` is virtual time on an ordinary loop, for tests that are coroutines themselves.
"""

import asyncio
import heapq
import itertools
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

START = datetime(2026, 1, 1, tzinfo=UTC)
ResultT = TypeVar("ResultT")


@dataclass(order=True)
class _Timer:
    at: float
    number: int
    ring: Callable[[], object] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """Virtual time: it stands still while any coroutine can run, and jumps to the next timer when none can.

    So concurrent sleepers wake in the order of their times, whatever work lies between. Real I/O does not count as
    work that can run: a test over a socket wants the `SystemClock`. `slept` lists what was asked of `sleep`.
    """

    def __init__(self) -> None:
        self.time = 1_000.0
        self.slept: list[float] = []
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()
        self._watching = False

    def now(self) -> datetime:
        return START + timedelta(seconds=self.time - 1_000.0)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        woken = asyncio.Event()
        timer = self._ring_at(self.time + seconds, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(None) if deadline is None else self._timeout_at(deadline)

    @asynccontextmanager
    async def _timeout_at(self, deadline: float) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as scope:
            # Rescheduling to the loop's present makes asyncio's own timeout fire, with all of its semantics.
            loop = asyncio.get_running_loop()
            timer = self._ring_at(deadline, lambda: scope.reschedule(loop.time()))
            try:
                yield
            finally:
                timer.cancel()

    def _ring_at(self, at: float, ring: Callable[[], object]) -> _Timer:
        timer = _Timer(at, next(self._numbers), ring)
        heapq.heappush(self._timers, timer)
        self._watch()
        return timer

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            asyncio.get_running_loop().call_soon(self._jump_when_idle)

    def _jump_when_idle(self) -> None:
        self._watching = False
        while self._timers and self._timers[0].cancelled:
            heapq.heappop(self._timers)
        if not self._timers:
            return
        # asyncio has no public word for "nothing else is ready to run"; its queue of ready callbacks says it exactly.
        if not getattr(asyncio.get_running_loop(), "_ready"):  # noqa: B009 - the attribute is untyped and private
            timer = heapq.heappop(self._timers)
            self.time = max(self.time, timer.at)
            timer.ring()
        self._watch()


class LoopClock:
    """The running loop's time: real on an ordinary loop, virtual inside `run_in_virtual_time`."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout_at(deadline)


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: the time that would be spent waiting is added to `seconds` instead."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("Deadlock: everything waits, and no timer is set.")
        self.seconds += max(0.0, timeout)
        return super().select(0)


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.seconds


def run_in_virtual_time(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run to the end on a loop where every sleep and timeout takes no real time and order is exact.

    Use it from a test that is not `async`. A deadlock raises at once. No threads and no sockets.
    """
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(coroutine)
