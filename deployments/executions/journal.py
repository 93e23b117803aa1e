"""The database's journal of one execution: the engine's `Journal` over rows of `ExecutionEvent`."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import cast
from uuid import UUID

import uuid_utils.compat

from deployments.executions.lifecycle import Ending, Fence, FenceLost
from deployments.executions.writer import GroupCommitWriter, Write, WriterStopped
from deployments.models import ExecutionEvent
from executor.errors import JournalClosed
from executor.events import RESULT_TYPES, Event, EventType, RecordedEvent
from executor.journal import RecordedPast

NOT_OURS = "This execution has ended, is another worker's, or cannot be recorded."


class DatabaseJournal:
    """Events of one attempt. The first write also claims the execution, so that claim and start are one commit.

    `flush` and `finish` raise `JournalClosed` once the execution is not this attempt's any more, or a write could not
    be kept (`failure`). `on_result` is called with the key of each result before that is committed, `on_event` with
    every event.
    """

    def __init__(
        self,
        *,
        fence: Fence,
        seq: int,
        deployment_id: UUID | None,
        is_limited: bool,
        schedule_id: UUID | None = None,
        started_at: datetime,
        recorded: Iterable[RecordedEvent],
        writer: GroupCommitWriter,
        on_result: Callable[[str], None] | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._fence = fence
        self._seq = seq
        self._deployment_id = deployment_id
        self._schedule_id = schedule_id
        self._is_limited = is_limited
        self._claimed_at: datetime | None = started_at
        self._writer = writer
        self._on_result = on_result
        self._on_event = on_event
        self._past = RecordedPast(recorded)
        self._past.last_position = max(self._past.last_position, seq)
        self._unfinished = self._past.calls_without_result()
        self._pending: list[ExecutionEvent] = []
        self._last_write: asyncio.Future[None] | None = None
        self._durable_seq = seq
        self._is_closed = False
        #: Whether a write was committed: from then on the execution is this attempt's, under its lease.
        self.holds_lease = False
        #: Whether a call's result of this attempt was committed: it is innocent of the losses before.
        self.has_progressed = False
        #: Why a write was not kept, when that was not the loss of the fence.
        self.failure: BaseException | None = None

    @property
    def execution_id(self) -> UUID:
        return self._fence.execution_id

    def result_of(self, key: str) -> RecordedEvent | None:
        return self._past.result_of(key)

    def reusable(self, key: str) -> RecordedEvent | None:
        return self._past.reusable(key)

    def calls_without_result(self) -> Sequence[RecordedEvent]:
        return self._unfinished

    def earlier_calls(self) -> Sequence[RecordedEvent]:
        return self._past.earlier_calls

    def held_bytes(self) -> int:
        return self._past.held_bytes

    def event_of(self, event_type: EventType, block_id: str | None = None) -> RecordedEvent | None:
        return self._past.event_of(event_type, block_id)

    def append(self, event: Event) -> int:
        if self._is_closed:
            raise JournalClosed(NOT_OURS)
        if self._on_result is not None and event.key is not None and event.type in RESULT_TYPES:
            self._on_result(event.key)
        position = self._past.add(event)
        self._seq += 1
        self._pending.append(event_row(self._fence.execution_id, self._seq, event))
        self._on_event(event)
        return position

    async def flush(self) -> None:
        if self._pending or self._last_write is None:
            self._write(None)
        await self._written()

    async def finish(self, ending: Ending) -> None:
        """Commit what is pending together with the ending; nothing can be recorded afterwards."""
        self._write(ending)
        self._is_closed = True
        await self._written()

    async def release(self) -> None:
        """Commit what is pending and give the execution back to the queue, unless it was never claimed."""
        if self._claimed_at is None:
            self._write(None, releases=True)
        self._is_closed = True
        await self._written()

    async def finish_after_failure(self, event: Event, ending: Ending) -> None:
        """End an execution of which a write could not be kept (`failure`): what that one held is left out."""
        seq = self._durable_seq + 1
        write = Write(
            fence=self._fence,
            seq=seq,
            events=(event_row(self._fence.execution_id, seq, event),),
            ending=ending,
            deployment_id=self._deployment_id,
            schedule_id=self._schedule_id,
            is_limited=self._is_limited,
            is_last_resort=True,
        )
        await asyncio.wrap_future(self._writer.submit(write))

    def _write(self, ending: Ending | None, *, releases: bool = False) -> None:
        if self._is_closed:
            raise JournalClosed(NOT_OURS)
        write = Write(
            fence=self._fence,
            seq=self._seq,
            events=tuple(self._pending),
            claimed_at=self._claimed_at,
            ending=ending,
            deployment_id=self._deployment_id,
            schedule_id=self._schedule_id,
            is_limited=self._is_limited,
            releases=releases,
        )
        self._pending.clear()
        self._claimed_at = None
        self._last_write = asyncio.wrap_future(self._writer.submit(write))
        self._last_write.add_done_callback(partial(self._note, seq=write.seq, has_result=write.has_result))

    def _note(self, write: "asyncio.Future[None]", *, seq: int, has_result: bool) -> None:
        error = None if write.cancelled() else write.exception()
        if error is None:
            self.holds_lease = True
            self.has_progressed |= has_result
            self._durable_seq = seq
            return
        # Nothing may follow a write that was not kept: the journal would have a gap.
        self._is_closed = True
        if self.failure is None and not isinstance(error, FenceLost | WriterStopped):
            self.failure = error

    async def _written(self) -> None:
        # The writer keeps the order, so the last write's commit is every earlier one's too. Shielded: several
        # branches wait for one commit, and the cancellation of one must not cancel it for the others.
        if self._last_write is None:
            return
        try:
            await asyncio.shield(self._last_write)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise JournalClosed(NOT_OURS) from error


def read_recorded(execution_id: UUID) -> list[RecordedEvent]:
    """What is recorded of an execution, in order."""
    return list(stream_recorded(execution_id))


def stream_recorded(execution_id: UUID) -> Iterator[RecordedEvent]:
    """The same, a few hundred at a time in memory."""
    rows = ExecutionEvent.objects.filter(execution_id=execution_id).order_by("seq")
    for row in rows.iterator(chunk_size=200):
        event = Event(
            type=cast(EventType, row.type),
            at=row.at,
            block_id=row.block_id or None,
            agent=row.agent or None,
            key=row.key or None,
            payload=row.payload,
        )
        yield RecordedEvent(event, row.seq)


def event_row(execution_id: UUID, seq: int, event: Event) -> ExecutionEvent:
    """The event as a row that is not in the database yet."""
    return ExecutionEvent(
        id=uuid_utils.compat.uuid7(),
        execution_id=execution_id,
        seq=seq,
        type=event.type,
        block_id=event.block_id or "",
        agent=event.agent or "",
        key=event.key or "",
        payload=event.payload,
        at=event.at,
    )
