"""Celery's Redis transport with one client a channel.

kombu's own makes one for every message and every acknowledgement, and a client of redis-py takes longer to make than a
command takes to send: a tenth of a busy worker's time.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    """Commands share a client, which is no more than a way to the channel's pool, and safe in any thread."""

    _shared: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's signature
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc] # the stubs leave it out
        # Two threads may each make one: the later is kept, the other works as well. After a disconnect the pool is new.
        shared = self._shared
        if shared is None or shared.connection_pool is not self.pool:
            shared = self._shared = super()._create_client()  # type: ignore[misc] # the stubs leave it out
        return shared


class Transport(kombu_redis.Transport):
    """What `redis://` names here."""

    Channel = Channel


def register() -> None:
    """Have kombu use it for `redis://` and `rediss://`."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
