"""The one stream of an execution's events: replayed from the journal, then live."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from deployments.executions.database_threads import in_database_thread
from deployments.live.hub import Subscription, current_hub
from deployments.models import ExecutionEvent, ExecutionLog

POLL_SECONDS = 5.0
HEARTBEAT_SECONDS = 15.0
PAGE = 500

Message = dict[str, Any]


async def follow(execution_id: UUID, *, after: int) -> AsyncIterator[Message | None]:
    """Every event with a `seq` above `after`, in order and once, until the one that ends the execution.

    An event is `{seq, type, block_id, agent, payload, at}`; pieces of text come between as
    `{type: "delta", block_id, agent, key, offset, text}`; None now and then, when there is nothing to show, so that
    the connection can be kept alive.
    """
    async with current_hub().subscribe(execution_id) as subscription:
        shown_at = looked_at = time.monotonic()
        subscription.has_grown = True
        while True:
            # Text that came before an event is shown before it: it is taken before the journal is read.
            messages, has_ended = _take_deltas(subscription), False
            if subscription.has_grown or time.monotonic() - looked_at >= POLL_SECONDS:
                subscription.has_grown, looked_at = False, time.monotonic()
                events, has_ended = await in_database_thread(_read_page, execution_id, after)
                messages += events
                after = events[-1]["seq"] if events else after
                subscription.has_grown |= len(events) == PAGE
            for message in messages:
                yield message
                shown_at = time.monotonic()
            if has_ended and not subscription.has_grown:
                return
            if time.monotonic() - shown_at >= HEARTBEAT_SECONDS:
                yield None
                shown_at = time.monotonic()
            if not subscription.has_grown:
                await subscription.wait(POLL_SECONDS)


def _read_page(execution_id: UUID, after: int) -> tuple[list[Message], bool]:
    # The row is looked at first: when it has ended, the read that follows sees its last event.
    has_ended = not ExecutionLog.objects.filter(id=execution_id).unfinished().exists()
    return read_events(execution_id, after=after), has_ended


def read_events(execution_id: UUID, *, after: int = 0, limit: int = PAGE) -> list[Message]:
    """Events of the journal after that sequence number, in order."""
    rows = ExecutionEvent.objects.filter(execution_id=execution_id, seq__gt=after).order_by("seq")[:limit]
    return [event_message(row) for row in rows]


def event_message(row: ExecutionEvent) -> Message:
    """`{seq, type, block_id, agent, payload, at}`, as every API shows an event."""
    return {
        "seq": row.seq,
        "type": row.type,
        "block_id": row.block_id or None,
        "agent": row.agent or None,
        "payload": row.payload,
        "at": row.at.isoformat().replace("+00:00", "Z"),
    }


def _take_deltas(subscription: Subscription) -> list[Message]:
    deltas = [{"type": "delta"} | delta for delta in subscription.deltas]
    subscription.deltas.clear()
    return deltas
