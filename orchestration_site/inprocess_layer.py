"""A channel layer inside one process, for several threads and event loops.

The web server and the worker of the embedded system run on loops of their own. A message lies in the channel's mailbox
under a lock; whoever waits for it is woken on its own loop with `call_soon_threadsafe`. Like any channel layer it may
drop: a full mailbox refuses more, and what nobody fetched expires. A channel that is received on stays in its groups
for as long as that lasts: a worker joins its group once in its life.
"""

import asyncio
import contextlib
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from time import monotonic
from typing import Any

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer

Message = dict[str, Any]


class Mailbox:
    """One channel's waiting messages and waiting receivers. Guarded by the layer's lock."""

    def __init__(self) -> None:
        self.messages: deque[tuple[float, Message]] = deque()
        self.receivers: deque[asyncio.Future[None]] = deque()

    @property
    def idle(self) -> bool:
        return not self.messages and not self.receivers

    def forget_expired(self, now: float) -> None:
        while self.messages and self.messages[0][0] <= now:
            self.messages.popleft()

    def wake_one(self) -> None:
        """Wake the first receiver whose loop still runs."""
        while self.receivers:
            receiver = self.receivers.popleft()
            with contextlib.suppress(RuntimeError):  # its loop is closed: the next one
                receiver.get_loop().call_soon_threadsafe(_resolve, receiver)
                return


class InProcessChannelLayer(BaseChannelLayer):
    """Groups and channels of this process. Capacity and expiry as in every channel layer.

    `group_expiry` counts from when the channel was last received on. `clock` gives seconds.
    """

    extensions = ("groups", "flush")

    def __init__(
        self,
        expiry: int = 60,
        capacity: int = 1_000,
        channel_capacity: dict[re.Pattern[str] | str, int] | None = None,
        group_expiry: int = 86_400,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(expiry=expiry, capacity=capacity)
        self._capacities = self.compile_capacities(channel_capacity or {})
        self.group_expiry = group_expiry
        self._clock = clock
        self._lock = threading.Lock()
        self._mailboxes: dict[str, Mailbox] = {}
        self._groups: dict[str, dict[str, float]] = {}
        self._received_on: set[str] = set()
        self._next_cleaning = clock() + expiry

    def get_capacity(self, channel: str) -> int:
        return next((capacity for name, capacity in self._capacities if name.match(channel)), self.capacity)

    async def new_channel(self, prefix: str = "specific.") -> str:
        return f"{prefix}inprocess!{secrets.token_hex(12)}"

    async def send(self, channel: str, message: Message) -> None:
        """Put a copy of the message into the mailbox. Raises `ChannelFull`."""
        _require_dict(message)
        self.require_valid_channel_name(channel)
        self._post(channel, deepcopy(message))

    async def receive(self, channel: str) -> Message:
        """The oldest message of the channel, as soon as there is one."""
        self.require_valid_channel_name(channel)
        while True:
            with self._lock:
                self._received_on.add(channel)
                mailbox = self._mailboxes.setdefault(channel, Mailbox())
                mailbox.forget_expired(self._clock())
                if mailbox.messages:
                    return mailbox.messages.popleft()[1]
                arrival = asyncio.get_running_loop().create_future()
                mailbox.receivers.append(arrival)
            await self._wait(mailbox, arrival)

    async def group_add(self, group: str, channel: str) -> None:
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        with self._lock:
            self._clean()
            self._groups.setdefault(group, {})[channel] = self._clock() + self.group_expiry

    async def group_discard(self, group: str, channel: str) -> None:
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        with self._lock:
            members = self._groups.get(group, {})
            members.pop(channel, None)
            if not members:
                self._groups.pop(group, None)

    async def group_send(self, group: str, message: Message) -> None:
        """Send to every member; one whose mailbox is full misses it."""
        _require_dict(message)
        self.require_valid_group_name(group)
        with self._lock:
            self._clean()
            now = self._clock()
            members = [channel for channel, end in self._groups.get(group, {}).items() if end > now]
        for channel in members:
            with contextlib.suppress(ChannelFull):
                self._post(channel, deepcopy(message))

    async def flush(self) -> None:
        """Forget every message and group; who waits goes on waiting."""
        with self._lock:
            self._groups.clear()
            for mailbox in self._mailboxes.values():
                mailbox.messages.clear()

    def _post(self, channel: str, message: Message) -> None:
        with self._lock:
            self._clean()  # before anybody is woken: who waits here must count as receiving
            mailbox = self._mailboxes.setdefault(channel, Mailbox())
            mailbox.forget_expired(self._clock())
            if len(mailbox.messages) >= self.get_capacity(channel):
                raise ChannelFull(channel)
            mailbox.messages.append((self._clock() + self.expiry, message))
            mailbox.wake_one()

    async def _wait(self, mailbox: Mailbox, arrival: asyncio.Future[None]) -> None:
        try:
            await arrival
        except asyncio.CancelledError:
            with self._lock:
                if arrival in mailbox.receivers:
                    mailbox.receivers.remove(arrival)
                elif mailbox.messages:
                    mailbox.wake_one()  # woken and cancelled at once: the message is for somebody else now
            raise

    def _clean(self) -> None:
        """Once in an expiry: renew memberships that are in use, drop the others that ended and mailboxes unread."""
        now = self._clock()
        if now < self._next_cleaning:
            return
        self._next_cleaning = now + self.expiry
        for mailbox in self._mailboxes.values():
            mailbox.forget_expired(now)
        self._mailboxes = {name: mailbox for name, mailbox in self._mailboxes.items() if not mailbox.idle}
        in_use = self._received_on | {name for name, mailbox in self._mailboxes.items() if mailbox.receivers}
        self._received_on = set()
        for group, members in list(self._groups.items()):
            renewed = members | dict.fromkeys(members.keys() & in_use, now + self.group_expiry)
            self._groups[group] = {channel: end for channel, end in renewed.items() if end > now}
        self._groups = {group: members for group, members in self._groups.items() if members}


def _resolve(arrival: "asyncio.Future[None]") -> None:
    if not arrival.done():
        arrival.set_result(None)


def _require_dict(message: object) -> None:
    if not isinstance(message, dict):
        raise TypeError(f"A message is a dict, not {type(message).__name__}.")
