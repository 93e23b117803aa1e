"""Workers show that they are there, and hear whether they are to rest. The only writer of their rows.

A worker that rests takes no executions and ends those that it has; it stays alive, and takes up work again when it is
resumed. That is what an operator wants before a host goes down or is looked at; a stopped process would be restarted.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from access.audit import Action, record_action
from deployments.executions.database_threads import in_database_thread
from deployments.executions.retirement import resident_bytes
from deployments.models import WorkerProcess
from deployments.models.worker import WorkerState

log = logging.getLogger(__name__)

#: So long the rows of processes that are gone are shown.
SHOWN_FOR = timedelta(days=1)
#: The loop is looked at this often to see how late it is.
LAG_SECONDS = 0.5
MEGABYTE = 2**20


@dataclass(frozen=True)
class Seen:
    """What a worker tells of itself."""

    owner: str
    started_at: datetime
    running: int
    rests: bool
    loop_lag_ms: int
    memory_mb: int


class Presence:
    """Tells of one worker with every heartbeat, on its loop, and lets it rest and work again as its row says."""

    def __init__(self, owner: str, *, count_running: Callable[[], int], rest: Callable[[bool], None]) -> None:
        self._owner = owner
        self._started_at = timezone.now()
        self._count_running = count_running
        self._rest = rest
        self._lag = 0.0
        self._rests = False

    async def run(self) -> None:
        """Until it is cancelled. Where the database is away the worker goes on as it is."""
        while True:
            try:
                await self._show()
            except Exception as error:  # noqa: BLE001 - whatever the database's driver raises: it is away
                log.warning("The worker could not show itself: %s", error)
            await self._wait(settings.ENVIRONMENT.heartbeat_seconds)

    async def _show(self) -> None:
        while (rests := await in_database_thread(show_worker, self._seen())) is not self._rests:
            self._rests = rests
            self._rest(rests)  # and then it is shown that it does

    async def end(self) -> None:
        """Say that the worker has ended."""
        try:
            await in_database_thread(_note_end, self._owner)
        except Exception as error:  # noqa: BLE001 - the same: it then counts as lost
            log.warning("The worker's end could not be shown: %s", error)

    def _seen(self) -> Seen:
        memory, lag, self._lag = resident_bytes() // MEGABYTE, self._lag, 0.0
        return Seen(self._owner, self._started_at, self._count_running(), self._rests, round(lag * 1_000), memory)

    async def _wait(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            wakes_at = time.monotonic() + min(LAG_SECONDS, left)
            await asyncio.sleep(min(LAG_SECONDS, left))
            self._lag = max(self._lag, time.monotonic() - wakes_at)


def show_worker(seen: Seen) -> bool:
    """Write what the worker tells of itself; whether it is to rest."""
    rows = WorkerProcess.objects.filter(owner=seen.owner)
    now = {
        "seen_at": Now(),
        **{name: getattr(seen, name) for name in ("running", "rests", "loop_lag_ms", "memory_mb")},
    }
    if not rows.update(**now):
        forget_gone()
        rows.create(
            owner=seen.owner,
            release=settings.RELEASE,
            started_at=seen.started_at,
            capacity=settings.ENVIRONMENT.max_concurrent_executions,
            **now,
        )
    return rows.filter(drain_requested_at__isnull=False).exists()


def forget_gone() -> int:
    """Remove the rows of processes that nobody has seen for long; how many."""
    removed, _ = WorkerProcess.objects.filter(seen_at__lt=Now() - SHOWN_FOR).delete()
    return removed


def known_workers() -> list[tuple[WorkerProcess, WorkerState]]:
    """Those of the last day and how each is, by name."""
    rows = WorkerProcess.objects.annotate(now=Now()).order_by("owner")
    return [(worker, worker.state_at(worker.now)) for worker in rows]


def is_anybody_working() -> bool:
    """Whether some worker takes executions."""
    return any(state == "working" for _, state in known_workers())


def rest_worker(*, worker: WorkerProcess, by: str) -> bool:
    """Ask the worker to take no executions and to end those that it has. False where that was asked already.

    It hears of it within a heartbeat. Its queue is the others' from then on; where all rest, executions wait.
    """
    asked = {"drain_requested_at": Now(), "drain_requested_by": by}
    return _ask(worker, by, "worker.drained", asked, asked_already=False)


def resume_worker(*, worker: WorkerProcess, by: str) -> bool:
    """Let the worker take executions again. False where it was not asked to rest."""
    asked: dict[str, object] = {"drain_requested_at": None, "drain_requested_by": ""}
    return _ask(worker, by, "worker.resumed", asked, asked_already=True)


def _ask(worker: WorkerProcess, by: str, action: Action, changes: dict[str, object], *, asked_already: bool) -> bool:
    with transaction.atomic():
        rows = WorkerProcess.objects.filter(id=worker.id, drain_requested_at__isnull=not asked_already)
        if not rows.update(**changes):
            return False
        record_action(action, by=by, team_id=None, on=("worker", worker.id), label=worker.owner)
    return True


def _note_end(owner: str) -> None:
    WorkerProcess.objects.filter(owner=owner).update(stopped_at=Now(), seen_at=Now(), running=0)
