"""Group commit: what many executions of one worker record is committed together, in a handful of statements.

So the cost of an execution falls as the load rises. A full writer slows its producers: each waits for its own commit.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import DataError, IntegrityError, close_old_connections, connection, transaction

from deployments.executions import lifecycle
from deployments.executions.lifecycle import Ending, Fence
from deployments.live.announcements import announce
from deployments.models import ExecutionEvent
from executor.events import RESULT_TYPES

log = logging.getLogger(__name__)

MAX_BATCH = 200


class FenceLost(Exception):
    """The execution is not this attempt's any more (or never became so): nothing of the write was kept."""


@dataclass(frozen=True)
class Write:
    """What one execution wants committed at once: its claim (with the first write), its events, its ending.

    `seq` is the last sequence number after the write. With `releases` the execution goes back to the queue.
    """

    fence: Fence
    seq: int
    events: tuple[ExecutionEvent, ...]
    claimed_at: datetime | None = None
    ending: Ending | None = None
    deployment_id: UUID | None = None
    is_limited: bool = False
    releases: bool = False
    done: "Future[None]" = field(default_factory=Future, compare=False)


class GroupCommitWriter:
    """One thread with one connection, which commits whatever has queued up while the last commit was on its way."""

    def __init__(self, *, on_committed: Callable[[Sequence[Write]], None] = lambda writes: None) -> None:
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._on_committed = on_committed
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commit what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, write: Write) -> "Future[None]":
        """Queue the write; the future ends with its commit, with `FenceLost`, or with the database's error."""
        self._queue.put(write)
        return write.done

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._commit(batch)
        connection.close()

    def _next_batch(self) -> list[Write] | None:
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                write = self._queue.get_nowait()
            except queue.Empty:
                break
            if write is None:
                self._queue.put(None)
                break
            batch.append(write)
        return batch

    def _commit(self, batch: Sequence[Write]) -> None:
        try:
            lost = commit_writes(batch)
        except (DataError, IntegrityError, FenceLost) as error:
            self._commit_alone(batch, error)
        except Exception as error:  # noqa: BLE001 - whoever waits for the write gets it, and the writer lives on
            close_old_connections()
            _fail(batch, error)
        else:
            self._settle(batch, lost)

    def _commit_alone(self, batch: Sequence[Write], error: Exception) -> None:
        """One execution's bad data or lost fence must not take the others with it: each is tried alone."""
        if len(batch) == 1:
            _fail(batch, error)
            return
        for write in batch:
            self._commit([write])

    def _settle(self, batch: Sequence[Write], lost: set[UUID]) -> None:
        kept = [write for write in batch if write.fence.execution_id not in lost]
        _fail([write for write in batch if write.fence.execution_id in lost], FenceLost())
        for write in kept:
            write.done.set_result(None)
            announce(write.fence.execution_id, write.seq, has_ended=write.ending is not None)
        self._on_committed(kept)


def commit_writes(batch: Sequence[Write]) -> set[UUID]:
    """Commit the writes in one transaction; the ids of those that could not be claimed, of which nothing is kept.

    Raises `FenceLost` (and keeps nothing) when a fence of a running execution is lost: try each alone.
    """
    with transaction.atomic():
        claims = [write for write in batch if write.claimed_at is not None]
        lost = _claim(claims)
        kept = [write for write in batch if write.fence.execution_id not in lost]
        _advance([write for write in kept if write.claimed_at is None and write.ending is None])
        endings = [write for write in kept if write.ending is not None]
        _finish(sorted(endings, key=lambda write: write.fence.execution_id))
        ExecutionEvent.objects.bulk_create([event for write in kept for event in write.events])
        lifecycle.count_ended(
            (write.deployment_id, write.ending.completed_at)
            for write in endings
            if write.deployment_id is not None and write.ending is not None
        )
    return lost


def _claim(claims: Sequence[Write]) -> set[UUID]:
    if not claims:
        return set()
    started_at = min(write.claimed_at for write in claims if write.claimed_at is not None)
    got = lifecycle.claim({write.fence: write.seq for write in claims}, started_at=started_at)
    return {write.fence.execution_id for write in claims} - got


def _advance(writes: Sequence[Write]) -> None:
    if not writes:
        return
    progressed = {write.fence.execution_id for write in writes if any(_is_result(event) for event in write.events)}
    if not lifecycle.advance({write.fence: write.seq for write in writes}, progressed=progressed):
        raise FenceLost
    for write in writes:
        if write.releases and not lifecycle.release(write.fence, write.seq):
            raise FenceLost


def _is_result(event: ExecutionEvent) -> bool:
    return event.type in RESULT_TYPES


def _finish(endings: Sequence[Write]) -> None:
    for write in endings:
        if write.ending is not None and not lifecycle.finish(write.fence, write.seq, write.ending):
            raise FenceLost


def _fail(writes: Sequence[Write], error: Exception) -> None:
    for write in writes:
        write.done.set_exception(error)
