"""One listener for a whole event loop: many viewers and waiting callers share one channel of the channel layer.

An execution's group is joined once a process, however many look at it. What the layer loses, the hub makes up for: it
looks at the rows of all executions that are watched, every few seconds and in one query.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from deployments.executions.database_threads import in_database_thread
from deployments.live.announcements import ENDS_GROUP, channel_layer, group_of
from deployments.live.messages import Message, delta_message
from deployments.live.states import State, read_states

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
#: How often the rows are looked at, in case a nudge was lost.
POLL_SECONDS = 5.0
#: How long the channel layer may hold up a viewer, who can do without it.
JOIN_SECONDS = 2.0
#: What a viewer may leave unread of the models' text, in pieces and in characters.
MAX_PENDING_DELTAS = 500
MAX_PENDING_CHARACTERS = 256 * 1024


class Subscription:
    """What one viewer has not looked at yet: how far the journal has grown, and pieces of text."""

    def __init__(self) -> None:
        #: Whether it is a viewer's; who waits for the end alone is not told of more, and looks for himself.
        self.views = False
        self.woken = asyncio.Event()
        #: The last seq that is known to be in the journal.
        self.last_seq = 0
        self.ended = asyncio.Event()
        self._deltas: deque[Message] = deque()
        self._characters = 0

    def tell(self, last_seq: int, *, has_ended: bool) -> None:
        """The journal has grown up to there, or is known to be that long."""
        self.last_seq = max(self.last_seq, last_seq)
        if has_ended:
            self.ended.set()
        self.woken.set()

    def show(self, delta: Message) -> None:
        """A piece of text. A viewer that is too slow loses the oldest; the next snapshot makes up for them."""
        self._deltas.append(delta)
        self._characters += len(delta.text)
        while len(self._deltas) > MAX_PENDING_DELTAS or self._characters > MAX_PENDING_CHARACTERS:
            self._characters -= len(self._deltas.popleft().text)
        self.woken.set()

    def take_deltas(self) -> list[Message]:
        """The pieces of text that have come since this was last called."""
        taken = list(self._deltas)
        self._deltas.clear()
        self._characters = 0
        return taken

    async def wait(self, seconds: float) -> bool:
        """Sleep until something comes or the time is over; whether something came."""
        came = await _within(seconds, self.woken)
        self.woken.clear()
        return came

    async def wait_for_end(self, seconds: float) -> bool:
        """Sleep until the execution's end is announced or the time is over; whether it was announced."""
        return await _within(seconds, self.ended)


class Hub:
    """The subscriptions of one event loop, by execution."""

    def __init__(self) -> None:
        self._subscriptions: dict[UUID, set[Subscription]] = {}
        self._joins: dict[UUID, asyncio.Task[bool]] = {}
        self._channel: str | None = None
        self._hears_ends = False
        self._listener: asyncio.Task[None] | None = None
        self._poll: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def subscribe(self, execution_id: UUID) -> AsyncIterator[Subscription]:
        """Hear of the execution from here on. What was before has to be read from the database afterwards."""
        async with self.subscribe_to_end(execution_id) as subscription:
            subscription.views = True
            if self._poll is None or self._poll.done():
                self._poll = asyncio.create_task(self._look_at_rows())
            await self._join(execution_id)
            yield subscription

    @asynccontextmanager
    async def subscribe_to_end(self, execution_id: UUID) -> AsyncIterator[Subscription]:
        """Hear of the execution's end alone, from here on."""
        subscription = Subscription()
        self._subscriptions.setdefault(execution_id, set()).add(subscription)
        try:
            await self._hear_ends()
            yield subscription
        finally:
            await self._leave(execution_id, subscription)

    async def _hear_ends(self) -> None:
        if self._hears_ends:
            return
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await self._open()
        except Exception as error:  # noqa: BLE001 - whatever the layer's client raises: who waits polls instead
            log.debug("The channel layer cannot be heard: %s", error)

    async def _join(self, execution_id: UUID) -> None:
        # Everyone who comes while the group is being joined waits for that too: looking at the database before would
        # miss what is announced in between.
        join = self._joins.get(execution_id)
        if join is None:
            join = self._joins[execution_id] = asyncio.create_task(self._add_to_group(execution_id))
        if not await asyncio.shield(join) and self._joins.get(execution_id) is join:
            del self._joins[execution_id]  # the next viewer tries again; this one polls

    async def _add_to_group(self, execution_id: UUID) -> bool:
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await channel_layer().group_add(group_of(execution_id), await self._open())
        except Exception as error:  # noqa: BLE001 - whatever the layer's client raises: the viewer polls instead
            log.debug("The channel layer cannot be heard: %s", error)
            return False
        return True

    async def _leave(self, execution_id: UUID, subscription: Subscription) -> None:
        left = self._subscriptions[execution_id]
        left.discard(subscription)
        if left:
            return
        del self._subscriptions[execution_id]
        join = self._joins.pop(execution_id, None)
        if join is None or not await asyncio.shield(join):
            return
        if execution_id in self._joins or self._channel is None:
            return  # somebody came meanwhile, and the group is theirs now
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await channel_layer().group_discard(group_of(execution_id), self._channel)
        except Exception as error:  # noqa: BLE001 - whatever the layer's client raises: the group expires by itself
            log.debug("The channel layer cannot be left: %s", error)

    async def _open(self) -> str:
        async with self._lock:
            if self._channel is None:
                self._channel = await channel_layer().new_channel()
                self._listener = asyncio.create_task(self._listen(self._channel))
            if not self._hears_ends:
                await channel_layer().group_add(ENDS_GROUP, self._channel)
                self._hears_ends = True
            return self._channel

    async def _listen(self, channel: str) -> None:
        while True:
            try:
                self._hand_on(await channel_layer().receive(channel))
            except Exception as error:  # noqa: BLE001 - whatever the layer's client raises: it is away
                log.debug("The channel layer cannot be heard: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    def _hand_on(self, message: dict[str, Any]) -> None:
        subscriptions = self._subscriptions.get(UUID(message["execution"]), ())
        if message["type"] == "execution.delta":
            delta = delta_message(message["delta"])
            for subscription in subscriptions:
                subscription.show(delta)
        else:
            for subscription in subscriptions:
                subscription.tell(message["seq"], has_ended=message["has_ended"])

    async def _look_at_rows(self) -> None:
        """Tell viewers what they should have heard, and join what could not be joined, while there are any."""
        while self._viewed():
            await asyncio.sleep(POLL_SECONDS)
            try:
                states = await in_database_thread(read_states, self._viewed())
            except Exception as error:  # noqa: BLE001 - whatever the database's driver raises: it is away
                log.debug("The executions that are watched cannot be looked at: %s", error)
                continue
            for execution_id, state in states.items():
                self._tell_state(execution_id, state)
            await self._join_missing()

    def _tell_state(self, execution_id: UUID, state: State) -> None:
        for subscription in self._subscriptions.get(execution_id, ()):
            if state.last_seq > subscription.last_seq or state.has_ended:
                subscription.tell(state.last_seq, has_ended=state.has_ended)

    def _viewed(self) -> list[UUID]:
        return [
            execution_id
            for execution_id, subscriptions in self._subscriptions.items()
            if any(subscription.views for subscription in subscriptions)
        ]

    async def _join_missing(self) -> None:
        for execution_id in self._viewed():
            if execution_id in self._subscriptions and execution_id not in self._joins:
                await self._join(execution_id)
                if execution_id not in self._joins:
                    return  # the layer is still away, and each try may take a while


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def current_hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
