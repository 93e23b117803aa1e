"""Group commit: what many executions of one worker record is committed together, in a handful of statements.

So the cost of an execution falls as the load rises. A full writer slows its producers: each waits for its own commit.
"""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, close_old_connections, connection, transaction

from deployments.executions import lifecycle
from deployments.executions.lifecycle import Ending, Fence, FenceLost
from deployments.live.announcements import announce
from deployments.models import ExecutionEvent
from executor.events import RESULT_TYPES
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

MAX_BATCH = 200
REMEMBERED_FENCES = 10_000
#: The part of a lease for which a commit is repeated while the database is away.
PATIENCE = 2 / 3
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Write:
    """What one execution wants committed at once: its claim (with the first write), its events, its ending.

    `seq` is the last sequence number after the write. With `releases` the execution goes back to the queue. With
    `is_last_resort` it ends although an earlier write could not be kept.
    """

    fence: Fence
    seq: int
    events: tuple[ExecutionEvent, ...]
    claimed_at: datetime | None = None
    ending: Ending | None = None
    deployment_id: UUID | None = None
    schedule_id: UUID | None = None
    is_limited: bool = False
    releases: bool = False
    is_last_resort: bool = False
    done: "Future[None]" = field(default_factory=Future, compare=False)

    @property
    def has_result(self) -> bool:
        """Whether a call's result is recorded with it."""
        return any(event.type in RESULT_TYPES for event in self.events)


class WriterStopped(Exception):
    """The worker is going away: nothing more is written."""


class GroupCommitWriter:
    """One thread with one connection, which commits whatever has queued up while the last commit was on its way.

    While the database is away a commit is repeated, for as long as the leases are sure to hold. `on_committed` is
    called on the thread and must return at once.
    """

    def __init__(self, *, on_committed: Callable[[Sequence[Write]], None] = lambda writes: None) -> None:
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._on_committed = on_committed
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._closing = threading.Lock()
        self._is_stopped = False
        #: Fences with a write that was not kept: what follows must not be either, or the journal would have a gap.
        self._broken: OrderedDict[Fence, None] = OrderedDict()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commit what is queued, then end the thread."""
        with self._closing:
            self._is_stopped = True
            self._queue.put(None)
        self._thread.join()

    def submit(self, write: Write) -> "Future[None]":
        """Queue the write; the future ends with its commit, or with why it was not kept. It cannot be cancelled."""
        # Whoever waits for it may be cancelled; the future must not be, or the writer could not settle it.
        write.done.set_running_or_notify_cancel()
        with self._closing:
            if self._is_stopped:
                write.done.set_exception(WriterStopped())
            else:
                self._queue.put(write)
        return write.done

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                self._fail([write for write in batch if self._follows_a_gap(write)], FenceLost())
                give_up_at = time.monotonic() + settings.ENVIRONMENT.lease_seconds * PATIENCE
                self._commit([write for write in batch if not self._follows_a_gap(write)], give_up_at=give_up_at)
            except Exception as error:  # a worker without its writer would hold its executions for ever
                log.exception("A batch of the journal could not be settled")
                self._fail([write for write in batch if not write.done.done()], error)
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

    def _commit(self, batch: Sequence[Write], *, give_up_at: float) -> None:
        if not batch:
            return
        try:
            unclaimed = _commit_patiently(batch, give_up_at=give_up_at)
        except DATABASE_OUTAGES as error:
            self._fail(batch, error)
        except Exception as error:  # noqa: BLE001 - whoever waits for the write gets it, and the writer lives on
            self._commit_alone(batch, error, give_up_at=give_up_at)
        else:
            self._settle(batch, unclaimed)

    def _commit_alone(self, batch: Sequence[Write], error: Exception, *, give_up_at: float) -> None:
        """One execution's bad value or lost fence must not take the others with it: each is tried alone.

        All within the batch's time, or the last one's lease would be over before its turn.
        """
        if len(batch) == 1:
            self._fail(batch, error)
            return
        for write in batch:
            if self._follows_a_gap(write):
                self._fail([write], FenceLost())
            else:
                self._commit([write], give_up_at=give_up_at)

    def _settle(self, batch: Sequence[Write], unclaimed: set[UUID]) -> None:
        kept = [write for write in batch if write.fence.execution_id not in unclaimed]
        for write in batch:
            if write.fence.execution_id in unclaimed:  # and so without a gap: the claim may be tried again
                write.done.set_exception(FenceLost())
        for write in kept:
            write.done.set_result(None)
            announce(write.fence.execution_id, write.seq, has_ended=write.ending is not None)
        try:
            self._on_committed(kept)
        except Exception:
            log.exception("What was to follow a commit failed")

    def _follows_a_gap(self, write: Write) -> bool:
        return write.fence in self._broken and not write.is_last_resort

    def _fail(self, writes: Sequence[Write], error: Exception) -> None:
        for write in writes:
            self._broken[write.fence] = None
            write.done.set_exception(error)
        while len(self._broken) > REMEMBERED_FENCES:
            self._broken.popitem(last=False)


def _commit_patiently(batch: Sequence[Write], *, give_up_at: float) -> set[UUID]:
    """Commit, again and again while the database is away; the executions that could not be claimed."""
    pause, commit = FIRST_PAUSE_SECONDS, commit_writes
    while True:
        try:
            return commit(batch)
        except DATABASE_OUTAGES as error:
            close_old_connections()
            if time.monotonic() + pause >= give_up_at:
                raise
            log.warning("The journal could not be written; trying again in %.1f s: %s", pause, error)
        commit = _commit_once  # from now on, whether it was committed has to be known first
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _commit_once(batch: Sequence[Write]) -> set[UUID]:
    """Commit the batch unless an earlier try, whose connection broke before it could tell, has done so."""
    if kept := _find_kept(batch):
        return _unclaimed(batch, kept)
    try:
        return commit_writes(batch)
    except (IntegrityError, FenceLost):
        # The server may have been at the earlier try still when we looked: our statements waited for its end then.
        if kept := _find_kept(batch):
            return _unclaimed(batch, kept)
        raise


def _find_kept(batch: Sequence[Write]) -> list[Write]:
    """The writes that are proven to be in the database. One is enough: the batch is one transaction.

    Events prove it by their ids, a claim without events by whose the row is. A release without events proves nothing,
    for a reaper leaves the row in the same state; to repeat it is harmless.
    """
    last_events = {write.events[-1].id: write for write in batch if write.events}
    found = ExecutionEvent.objects.filter(id__in=last_events).values_list("id", flat=True)
    kept = [last_events[event_id] for event_id in found]
    claims = {write.fence: write for write in batch if write.claimed_at is not None and not write.events}
    if claims:
        kept += [claims[fence] for fence in lifecycle.held(claims)]
    return kept


def _unclaimed(batch: Sequence[Write], kept: Sequence[Write]) -> set[UUID]:
    """Of a batch that was committed, the executions whose claims are not in it."""
    claimed = {write.fence for write in kept}
    return {write.fence.execution_id for write in batch if write.claimed_at is not None and write.fence not in claimed}


def commit_writes(batch: Sequence[Write]) -> set[UUID]:
    """Commit the writes in one transaction; the ids of those that could not be claimed, of which nothing is kept.

    Raises `FenceLost` (and keeps nothing) when a fence of a running execution is lost: try each alone.
    """
    claims = [write for write in batch if write.claimed_at is not None]
    with transaction.atomic():
        _lock(batch, claims)
        unclaimed = _claim(claims)
        kept = [write for write in batch if write.fence.execution_id not in unclaimed]
        _advance([write for write in kept if write.claimed_at is None and write.ending is None])
        endings = [write for write in kept if write.ending is not None]
        _finish(endings)
        lifecycle.record([event for write in kept for event in write.events])
        lifecycle.count_ended(
            lifecycle.Ended(write.fence.execution_id, write.deployment_id, write.ending.completed_at)
            for write in endings
            if write.deployment_id is not None and write.ending is not None
        )
    return unclaimed


def _lock(batch: Sequence[Write], claims: Sequence[Write]) -> None:
    """Claims that count lock their deployments before the executions that end with them are: all are locked first.

    Nobody else who holds a running row of ours waits for another, and so all other batches need no such order.
    """
    counting = {write.deployment_id for write in claims if write.is_limited}
    if counting and len(batch) > 1:
        running = [write.fence.execution_id for write in batch if write.claimed_at is None]
        deployments = counting | {write.deployment_id for write in batch if write.ending}
        lifecycle.lock_rows(running, [deployment_id for deployment_id in deployments if deployment_id is not None])


def _claim(claims: Sequence[Write]) -> set[UUID]:
    if not claims:
        return set()
    started_at = min(write.claimed_at for write in claims if write.claimed_at is not None)
    got = lifecycle.claim({write.fence: write.seq for write in claims}, started_at=started_at)
    return {write.fence.execution_id for write in claims} - got


def _advance(writes: Sequence[Write]) -> None:
    if not writes:
        return
    progressed = {write.fence.execution_id for write in writes if write.has_result}
    if not lifecycle.advance({write.fence: write.seq for write in writes}, progressed=progressed):
        raise FenceLost
    for write in writes:
        if write.releases and not lifecycle.release(write.fence, write.seq):
            raise FenceLost


def _finish(writes: Sequence[Write]) -> None:
    endings = {write.fence: (write.seq, write.ending) for write in writes if write.ending is not None}
    if not lifecycle.finish(endings):
        raise FenceLost
