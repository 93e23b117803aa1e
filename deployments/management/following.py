"""An execution is followed from a terminal: over the stream that sockets and pages show, too."""

import asyncio
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from deployments.live.feed import follow
from deployments.terminal_progress import TerminalProgress
from executor.events import Delta, Event, RecordedEvent


def watch(execution_id: UUID, progress: TerminalProgress | None) -> None:
    """Until the execution has ended; what happens meanwhile is shown, where there is somewhere to show it."""
    asyncio.run(_watch(execution_id, progress))


async def _watch(execution_id: UUID, progress: TerminalProgress | None) -> None:
    async for messages in follow(execution_id, after=0):
        if progress is not None:
            for message in messages:
                _show(json.loads(message.text), progress)


def _show(line: dict[str, Any], progress: TerminalProgress) -> None:
    if line["type"] == "delta":
        progress.show_delta(Delta(line["block_id"], line["agent"], line["key"], line["offset"], line["text"]))
    else:
        at = datetime.fromisoformat(line["at"])
        event = Event(line["type"], at, line["block_id"], line["agent"], payload=line["payload"])
        progress.show_event(RecordedEvent(event, line["seq"]))
