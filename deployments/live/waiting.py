"""A caller that waits for an execution's end: without a thread, and without a database connection."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from deployments.executions.database_threads import in_database_thread
from deployments.live.hub import current_hub
from deployments.models import ExecutionLog
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0


async def wait_for_end(execution_id: UUID, *, seconds: float, begin: Callable[[], None] | None = None) -> bool:
    """Whether the execution has ended before that many seconds are over, or callers are let go.

    To be called after the accepting commit: it subscribes, looks, and then waits, so that no end is missed. With
    `begin`, which lets the execution start only once it is listened to, there is nothing to look for at first. While
    the database is away it goes on waiting.
    """
    deadline = time.monotonic() + seconds
    async with current_hub().subscribe_to_end(execution_id) as subscription:
        with _callers.joined_by(subscription.ended):
            if begin is not None:
                begin()
            may_have_ended = begin is None
            while not (may_have_ended and await _look(execution_id)):
                left = deadline - time.monotonic()
                if left <= 0 or (may_have_ended and _callers.are_let_go):
                    return False
                if await subscription.wait_for_end(min(left, POLL_SECONDS)) and not _callers.are_let_go:
                    return True  # announced after its commit: there is no need to look
                may_have_ended = True
    return True


def let_callers_go() -> None:
    """Let everybody who waits in this process, or begins to, look once more and then go. From any thread."""
    _callers.let_go()


class _Callers:
    """Those who wait, on whichever event loop."""

    def __init__(self) -> None:
        self.are_let_go = False
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @contextmanager
    def joined_by(self, wake: asyncio.Event) -> Iterator[None]:
        caller = (asyncio.get_running_loop(), wake)
        with self._lock:
            self._waiting.add(caller)
            if self.are_let_go:
                wake.set()
        try:
            yield
        finally:
            with self._lock:
                self._waiting.discard(caller)

    def let_go(self) -> None:
        with self._lock:
            self.are_let_go = True
            for loop, wake in self._waiting:
                loop.call_soon_threadsafe(wake.set)


_callers = _Callers()


async def _look(execution_id: UUID) -> bool:
    try:
        return await in_database_thread(_has_ended, execution_id)
    except DATABASE_OUTAGES as error:
        log.debug("Execution %s cannot be looked at right now: %s", execution_id, error)
        return False


def _has_ended(execution_id: UUID) -> bool:
    return not ExecutionLog.objects.filter(id=execution_id).unfinished().exists()
