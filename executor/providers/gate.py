"""What one account allows at a time, for all its callers in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from executor.clock import Clock, SystemClock
from executor.providers.contract import ModelCallError

# Without a Retry-After, the pause after a 429: enough to break a burst, short beside the caller's own backoff.
DEFAULT_PAUSE_SECONDS = 1.0
# A longer pause is told to the caller instead of waited for, so that a fallback can step in.
LONGEST_WAIT_SECONDS = 60.0


class AccountGate:
    """Bounds concurrent calls, and after one 429 makes every caller wait. One gate serves one event loop."""

    def __init__(self, account: str, *, max_concurrent_calls: int | None = None, clock: Clock | None = None) -> None:
        self._account = account
        self._clock = clock or SystemClock()
        self._places = nullcontext() if max_concurrent_calls is None else asyncio.Semaphore(max_concurrent_calls)
        self._closed_until = self._clock.monotonic()

    @asynccontextmanager
    async def admission(self) -> AsyncIterator[None]:
        """Hold one of the account's places. Raises `ModelCallError` when the account is paused for long."""
        async with self._places:
            # With a place in hand: whoever queued before the pause has to see it too.
            await self._wait_for_opening()
            yield

    def pause(self, seconds: float | None) -> None:
        """Let nobody through for that long; a pause never shortens one that runs."""
        until = self._clock.monotonic() + (DEFAULT_PAUSE_SECONDS if seconds is None else seconds)
        self._closed_until = max(self._closed_until, until)

    async def _wait_for_opening(self) -> None:
        while (left := self._closed_until - self._clock.monotonic()) > 0:
            if left > LONGEST_WAIT_SECONDS:
                raise ModelCallError(
                    f"Account {self._account!r} is rate limited by its provider for another {left:.0f} s.",
                    retryable=True,
                    status=429,
                    retry_after=left,
                    may_be_charged=False,
                )
            await self._clock.sleep(left)
