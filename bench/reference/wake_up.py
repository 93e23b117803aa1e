"""Plain Redis pub/sub between the reference's worker and its web process: one subscription a call, one reader."""

import asyncio
import os

import redis
import redis.asyncio

CALLS = "reference.call."

_sender = redis.Redis.from_url(os.environ["CHANNEL_URL"])


def wake(call_id: str) -> None:
    """Tell whoever waits for the call that it has ended."""
    _sender.publish(CALLS + call_id, b"done")


class Waiters:
    """The calls that are waited for on one event loop."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Event] = {}
        self._pubsub = redis.asyncio.Redis.from_url(os.environ["CHANNEL_URL"]).pubsub()
        self._reader: asyncio.Task[None] | None = None

    async def listen(self, call_id: str) -> asyncio.Event:
        """Subscribe; the event is set at the call's end."""
        ended = self._ends[CALLS + call_id] = asyncio.Event()
        # One subscription stays for ever: a connection without any is closed by its client, in the middle of a burst.
        await self._pubsub.subscribe(CALLS, CALLS + call_id)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        return ended

    async def leave(self, call_id: str) -> None:
        del self._ends[CALLS + call_id]
        await self._pubsub.unsubscribe(CALLS + call_id)

    async def _read(self) -> None:
        while True:
            message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=60)
            if message is not None and (ended := self._ends.get(message["channel"].decode())) is not None:
                ended.set()
