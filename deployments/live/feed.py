"""The one stream of an execution's events: replayed from the journal, then live."""

import asyncio
import logging
from collections.abc import AsyncIterator
from uuid import UUID
from weakref import WeakKeyDictionary

from deployments.executions.database_threads import in_database_thread
from deployments.live.admission import Admission
from deployments.live.hub import Subscription, current_hub
from deployments.live.journal_pages import JournalPages
from deployments.live.messages import Message
from deployments.live.states import read_states
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
RETRY_SECONDS = 1.0


async def follow(execution_id: UUID, *, after: int, admission: Admission | None = None) -> AsyncIterator[list[Message]]:
    """Every event with a `seq` above `after`, in order and once, until the one that ends the execution.

    They come in lists of a bounded size, with pieces of the models' text between. An empty list comes now and then when
    there is nothing to show, so that the connection can be kept alive. While the database is away it waits. It ends
    early when the admission does.
    """
    async with current_hub().subscribe(execution_id) as subscription:
        reader = _Reader(execution_id, after, subscription)
        if admission is not None:
            admission.wake = subscription.woken.set
        while admission is None or not admission.is_over:
            # Text that came before an event is shown before it: it is taken before the journal is read.
            messages = subscription.take_deltas()
            messages += await reader.read()
            if messages:
                yield messages
            elif reader.has_read_all:
                return
            elif not reader.is_behind and not await subscription.wait(HEARTBEAT_SECONDS):
                yield []


class _Reader:
    """Where one viewer is in the journal."""

    def __init__(self, execution_id: UUID, after: int, subscription: Subscription) -> None:
        self._execution_id = execution_id
        self._after = after
        self._subscription = subscription
        self._knows_state = False

    @property
    def is_behind(self) -> bool:
        return not self._knows_state or self._after < self._subscription.last_seq

    @property
    def has_read_all(self) -> bool:
        """Whether the execution has ended, and there is nothing more to read."""
        return self._subscription.ended.is_set() and not self.is_behind

    async def read(self) -> list[Message]:
        """The next events, if there are any. While the database is away, none, after a moment."""
        if not self.is_behind:
            return []
        try:
            return await self._read()
        except DATABASE_OUTAGES as error:
            log.debug("Execution %s cannot be followed right now: %s", self._execution_id, error)
            await asyncio.sleep(RETRY_SECONDS)
            return []

    async def _read(self) -> list[Message]:
        if not self._knows_state:
            # After the subscription: what is committed from here on is announced.
            state = (await in_database_thread(read_states, [self._execution_id]))[self._execution_id]
            self._subscription.tell(state.last_seq, has_ended=state.has_ended)
            self._knows_state = True
            return []
        last_seq = self._subscription.last_seq
        page = await _current_pages().read(self._execution_id, self._after)
        # Up to the last seq that is known everything is committed: where nothing is found, nothing is to come.
        self._after = page[-1].seq or last_seq if page else last_seq
        return page


_pages: "WeakKeyDictionary[asyncio.AbstractEventLoop, JournalPages]" = WeakKeyDictionary()


def _current_pages() -> JournalPages:
    return _pages.setdefault(asyncio.get_running_loop(), JournalPages())
