"""Plain Redis pub/sub between the reference's worker and its web process: one channel, one reader, the ids of calls."""

import asyncio
import os

import redis
import redis.asyncio

ENDED = "reference.ended"

_sender = redis.Redis.from_url(os.environ["CHANNEL_URL"])


def wake(call_id: str) -> None:
    """Tell whoever waits for the call that it has ended."""
    _sender.publish(ENDED, call_id)


class Waiters:
    """The calls that are waited for on one event loop.

    The one subscription is made before anything reads: redis-py loses messages of a connection that is subscribed to
    more while it is being read.
    """

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Event] = {}
        self._reader: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def listen(self, call_id: str) -> asyncio.Event:
        """Be told of the call's end from here on; the event is set at it."""
        async with self._opening:
            if self._reader is None:
                self._reader = asyncio.create_task(self._read(await _subscribe()))
        ended = self._ends[call_id] = asyncio.Event()
        return ended

    def leave(self, call_id: str) -> None:
        del self._ends[call_id]

    async def _read(self, pubsub: "redis.asyncio.client.PubSub") -> None:
        async for message in pubsub.listen():
            if message["type"] == "message" and (ended := self._ends.get(message["data"].decode())) is not None:
                ended.set()


async def _subscribe() -> "redis.asyncio.client.PubSub":
    pubsub = redis.asyncio.Redis.from_url(os.environ["CHANNEL_URL"]).pubsub()
    await pubsub.subscribe(ENDED)
    return pubsub
