"""Time, as the engine sees it. It has no clock of its own, so that a test can hand it one that jumps."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """The time of day, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        """Raise `TimeoutError` from the block when `monotonic()` passes `deadline`; None waits for ever."""


class SystemClock:
    """The machine's clock. `timeout_at` relies on the running loop's clock being `time.monotonic`, as asyncio's is."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        if deadline is None:
            return asyncio.timeout(None)
        return asyncio.timeout(deadline - time.monotonic())
