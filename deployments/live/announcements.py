"""What the channel layer carries about executions: nudges, the models' text, and requests to cancel.

All of it may be lost without harm: the journal is the truth, and viewers and workers also look for themselves.
"""

import asyncio
import logging
import threading
from uuid import UUID

from channels.layers import BaseChannelLayer, get_channel_layer

from executor.json_types import JsonObject

log = logging.getLogger(__name__)

#: Messages that may wait for a channel layer that does not take them, and for how long each.
MAX_WAITING = 5_000
SEND_SECONDS = 5.0

#: Every process in which somebody waits listens here for the ends of all executions: joining a group for each would
#: cost every call two trips to the channel layer.
ENDS_GROUP = "ends"
#: Every worker process listens here for executions that are to be cancelled.
WORKERS_GROUP = "workers"


def channel_layer() -> BaseChannelLayer:
    """The site's channel layer, which settings always name."""
    layer = get_channel_layer()
    if layer is None:
        raise RuntimeError("CHANNEL_LAYERS has no default.")
    return layer


def group_of(execution_id: UUID) -> str:
    """The group that viewers of an execution join."""
    return f"execution.{execution_id}"


def announce(execution_id: UUID, seq: int, *, has_ended: bool) -> None:
    """Tell viewers that the journal has grown up to `seq`, and those who wait of the end. At once, from any thread."""
    message: JsonObject = {"type": "execution.advanced", "execution": str(execution_id), "seq": seq}
    _send(ENDS_GROUP if has_ended else group_of(execution_id), message | {"has_ended": has_ended})


def announce_delta(execution_id: UUID, delta: JsonObject) -> None:
    """Show viewers a piece of a model's text."""
    _send(group_of(execution_id), {"type": "execution.delta", "execution": str(execution_id), "delta": delta})


def ask_workers_to_cancel(execution_id: UUID, by: str) -> None:
    """Tell whichever worker runs it at once; its heartbeat would find out later."""
    _send(WORKERS_GROUP, {"type": "execution.cancel", "execution": str(execution_id), "by": by})


def _send(group: str, message: JsonObject) -> None:
    _sender.send(group, message)


class _Sender:
    """The event loop that sends, in a thread of its own, so that any thread may announce."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = 0

    def send(self, group: str, message: JsonObject) -> None:
        loop = self._running_loop()
        with self._lock:
            if self._waiting >= MAX_WAITING:
                return  # the layer is away; viewers look for themselves
            self._waiting += 1
        asyncio.run_coroutine_threadsafe(self._group_send(group, message), loop)

    async def _group_send(self, group: str, message: JsonObject) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await channel_layer().group_send(group, message)
        except Exception as error:  # noqa: BLE001 - whatever the layer's client raises: it is away
            log.debug("The channel layer did not take a message: %s", error)
        finally:
            with self._lock:
                self._waiting -= 1

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            with self._lock:
                if self._loop is None:
                    loop = asyncio.new_event_loop()
                    threading.Thread(target=loop.run_forever, name="announcements", daemon=True).start()
                    self._loop = loop
        return self._loop


_sender = _Sender()
