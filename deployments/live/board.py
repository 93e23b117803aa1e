"""The numbers of the list of deployments: read once a second for all who watch, and only what changed is sent."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db.models import Count

from access.principal import Principal
from access.rights import RIGHTS
from deployments.executions.database_threads import in_database_thread
from deployments.live.admission import Admission
from deployments.live.messages import Message, message
from deployments.models import Deployment, ExecutionLog
from deployments.models.execution import UNFINISHED_STATUSES

log = logging.getLogger(__name__)

#: The right to see the list.
LIST_VERBS: Final = RIGHTS["deployment"]["list"]
PERIOD_SECONDS = 1.0
#: Deployments in one message.
SHOWN_AT_ONCE = 500
#: For so many readings it is remembered that a deployment is gone. A viewer that is further behind is closed by then.
REMEMBERED_READINGS = 300


@dataclass(frozen=True)
class Numbers:
    """What the list shows of one deployment, and whose it is."""

    id: UUID
    team_id: int
    status: str
    execution_count: int
    last_execution_at: str | None
    queued: int
    running: int

    def shown(self) -> dict[str, Any]:
        """Its members in a message."""
        return {
            "id": str(self.id),
            "status": self.status,
            "execution_count": self.execution_count,
            "last_execution_at": self.last_execution_at,
            "queued": self.queued,
            "running": self.running,
        }


@dataclass(frozen=True)
class _Row:
    """What was last read of a deployment, and which reading saw it change."""

    numbers: Numbers
    changed_at: int
    is_gone: bool = False


@dataclass(frozen=True)
class Changes:
    """Deployments with new numbers, and those that are not live any more."""

    numbers: list[Numbers]
    gone: list[UUID]


class Board:
    """The last reading of all live deployments, kept up while somebody watches."""

    def __init__(self) -> None:
        #: The number of the last reading, and of the last one that was begun.
        self.reading = 0
        self.begun = 0
        self._rows: dict[UUID, _Row] = {}
        self._changed_at = 0
        self._watchers: set[asyncio.Event] = set()
        self._keeping_up: asyncio.Task[None] | None = None

    @contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """An event that is set by every reading."""
        woken = asyncio.Event()
        self._watchers.add(woken)
        if self._keeping_up is None or self._keeping_up.done():
            self._keeping_up = asyncio.create_task(self._keep_up())
        try:
            yield woken
        finally:
            self._watchers.discard(woken)

    def changes(self, principal: Principal, *, since: int) -> Changes:
        """What this caller may see of what has changed after that reading."""
        if self._changed_at <= since:
            return Changes([], [])
        changed = [row for row in self._rows.values() if row.changed_at > since]
        visible = [row for row in changed if _is_shown(row.numbers, principal)]
        return Changes(
            [row.numbers for row in visible if not row.is_gone], [row.numbers.id for row in visible if row.is_gone]
        )

    def take(self, reading: int, read: Mapping[UUID, Numbers]) -> None:
        """A new reading of all live deployments."""
        self.reading = reading
        rows = {
            deployment_id: row
            for deployment_id, row in self._rows.items()
            if not row.is_gone or self.reading - row.changed_at <= REMEMBERED_READINGS
        }
        for deployment_id, row in rows.items():
            if deployment_id not in read and not row.is_gone:
                rows[deployment_id] = _Row(row.numbers, self.reading, is_gone=True)
        for deployment_id, numbers in read.items():
            known = rows.get(deployment_id)
            if known is None or known.is_gone or known.numbers != numbers:
                rows[deployment_id] = _Row(numbers, self.reading)
        self._rows = rows
        self._changed_at = max((row.changed_at for row in rows.values()), default=0)
        for woken in self._watchers:
            woken.set()

    async def _keep_up(self) -> None:
        while self._watchers:
            self.begun += 1
            try:
                self.take(self.begun, await in_database_thread(read_numbers))
            except Exception as error:  # noqa: BLE001 - whatever the database's driver raises: it is away
                log.debug("The numbers of the deployments cannot be read: %s", error)
            await asyncio.sleep(PERIOD_SECONDS)


def read_numbers() -> dict[UUID, Numbers]:
    """Those of every live deployment, in two queries."""
    unfinished: dict[tuple[UUID, str], int] = {}
    executions = ExecutionLog.objects.filter(status__in=UNFINISHED_STATUSES, deployment__isnull=False)
    for deployment_id, status, count in executions.values_list("deployment_id", "status").annotate(n=Count("id")):
        unfinished[deployment_id, status] = count
    columns = ("id", "team_id", "status", "execution_count", "last_execution_at")
    return {
        row["id"]: Numbers(
            **row | {"last_execution_at": _shown_time(row["last_execution_at"])},
            queued=unfinished.get((row["id"], "queued"), 0),
            running=unfinished.get((row["id"], "running"), 0),
        )
        for row in Deployment.objects.live().values(*columns)
    }


def _is_shown(numbers: Numbers, principal: Principal) -> bool:
    return principal.knows(numbers.team_id, numbers.id) and principal.may_in(numbers.team_id, *LIST_VERBS)


def _shown_time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


async def follow_deployments(admission: Admission) -> AsyncIterator[list[Message]]:
    """`{type: "snapshot", deployments: [{id, status, execution_count, last_execution_at, queued, running}]}`, then as
    numbers change, at most once a second, `{type: "changes", deployments: […], removed: [ids]}`.

    A snapshot replaces what was shown; it comes again when other deployments may be seen than before. Of a long list
    the rest follows the snapshot as changes. The stream ends when the admission does.
    """
    board = current_board()
    with board.watch() as woken:
        admission.wake = woken.set
        # A reading that was begun before may lack what the page that opens the socket shows already.
        first = board.begun + 1
        shown_to: Principal | None = None
        seen = 0
        while not admission.is_over:
            is_snapshot = admission.principal != shown_to
            changes = board.changes(admission.principal, since=0 if is_snapshot else seen)
            if board.reading >= first and (is_snapshot or changes.numbers or changes.gone):
                shown_to, seen = admission.principal, board.reading
                yield list(_messages(changes, is_snapshot=is_snapshot))
            await woken.wait()
            woken.clear()


def _messages(changes: Changes, *, is_snapshot: bool) -> Iterator[Message]:
    shown = [numbers.shown() for numbers in changes.numbers]
    first, rest = shown[:SHOWN_AT_ONCE], shown[SHOWN_AT_ONCE:]
    if is_snapshot:
        yield message("snapshot", {"deployments": first})
    else:
        yield message("changes", {"deployments": first, "removed": [str(gone) for gone in changes.gone]})
    for start in range(0, len(rest), SHOWN_AT_ONCE):
        yield message("changes", {"deployments": rest[start : start + SHOWN_AT_ONCE], "removed": []})


_boards: "WeakKeyDictionary[asyncio.AbstractEventLoop, Board]" = WeakKeyDictionary()


def current_board() -> Board:
    """The running event loop's."""
    return _boards.setdefault(asyncio.get_running_loop(), Board())
