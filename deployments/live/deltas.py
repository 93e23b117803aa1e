"""The models' text on its way to viewers: coalesced, with a full snapshot now and then for those who come late."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from deployments.live.announcements import announce_delta
from executor.events import Delta

COALESCE_SECONDS = 0.05
SNAPSHOT_SECONDS = 1.0


@dataclass
class _Text:
    latest: Delta
    whole: str = ""
    sent: int = 0
    snapshot_at: float = 0.0


class DeltaStream:
    """The engine's `DeltaSink` of one execution; to be used on its event loop."""

    def __init__(self, execution_id: UUID) -> None:
        self._execution_id = execution_id
        self._texts: dict[str, _Text] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, delta: Delta) -> None:
        text = self._texts.setdefault(delta.key, _Text(delta))
        if delta.offset < len(text.whole):  # a retry writes its answer from the start
            text.whole, text.sent = text.whole[: delta.offset], min(text.sent, delta.offset)
        text.latest = delta
        text.whole += delta.text
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COALESCE_SECONDS, self._send)

    def finish(self, key: str) -> None:
        """Send what is left of a call's text, whose result is about to be recorded: its viewers see the text first."""
        text = self._texts.pop(key, None)
        if text is not None and text.sent < len(text.whole):
            self._announce(text)

    def close(self) -> None:
        """Send what is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._send()

    def _send(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for text in self._texts.values():
            if text.sent == len(text.whole):
                continue
            if now - text.snapshot_at >= SNAPSHOT_SECONDS:
                text.snapshot_at, text.sent = now, 0
            self._announce(text)
            text.sent = len(text.whole)

    def _announce(self, text: _Text) -> None:
        announce_delta(
            self._execution_id,
            {
                "block_id": text.latest.block_id,
                "agent": text.latest.agent,
                "key": text.latest.key,
                "offset": text.sent,
                "text": text.whole[text.sent :],
            },
        )
