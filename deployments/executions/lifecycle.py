"""Every change of an execution's status, one function each.

Each is a compare-and-set UPDATE whose row count decides. Who locks several rows and waits for them takes execution
rows by id, then deployment rows by id (`lock_rows`); everyone else skips what is locked, or locks one row. Leases are
by the database's clock; the times people read are by the process's.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial, reduce
from operator import or_
from typing import Literal, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, PositiveIntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from deployments.executions.statements import (
    ADVANCE,
    CLAIM,
    COUNT_ENDED,
    FINISH,
    FORGIVE_LOSSES,
    INSERT_EVENTS,
    INSERT_EXECUTION,
    claimable,
    lease,
)
from deployments.live.announcements import announce, ask_workers_to_cancel
from deployments.models import Deployment, ExecutionEvent, ExecutionLog
from executor.json_types import JsonObject

T = TypeVar("T")
CancelOutcome = Literal["cancelled", "requested", "ended"]

#: Workers that may be lost in a row with one execution before it is held to blame.
MAX_LOSSES = 3
REAPED_AT_ONCE = 100
_COLUMNS_TO_END = (
    "status",
    "attempt",
    "losses",
    "seq",
    "deployment_id",
    "started_at",
    "deadline_at",
    "cancel_requested_at",
    "cancel_requested_by",
)


class FenceLost(Exception):
    """The execution is not this attempt's any more (or never became so): nothing of the write was kept."""


@dataclass(frozen=True)
class Fence:
    """What a worker must still hold to write: this attempt of this execution, under its own name."""

    execution_id: UUID
    attempt: int
    owner: str


@dataclass(frozen=True)
class Ending:
    """How an execution ends, with everything that its row shows afterwards."""

    status: Literal["completed", "failed", "cancelled"]
    completed_at: datetime
    duration_ms: int
    result_data: JsonObject | None = None
    error: str = ""
    error_code: str = ""
    error_detail: JsonObject = field(default_factory=dict)
    usage: JsonObject | None = None
    cost: Decimal | None = None


def accept(execution: ExecutionLog, *, about: JsonObject | None = None) -> None:
    """Insert the queued row and its first event, which says `about` too; inside the accepting transaction."""
    execution.status = ExecutionLog.Status.QUEUED
    execution.seq = 1
    payload: JsonObject = {"trigger_type": execution.trigger_type, "triggered_by": execution.triggered_by}
    payload |= about or {}
    first = ExecutionEvent(
        execution_id=execution.id, seq=1, type="execution.accepted", payload=payload, at=execution.created_at
    )
    INSERT_EXECUTION.insert([execution])
    INSERT_EVENTS.insert([first])


def claim(seqs: Mapping[Fence, int], *, started_at: datetime) -> set[UUID]:
    """Take queued executions for this worker, with their new last sequence numbers; the ids of those that it got.

    A fence names the attempt that the claim begins. What another worker is just claiming is left to it; what is not
    queued any more, not due, past its deadline, cancelled, or over its deployment's limit, is not got. Raises
    `FenceLost` when rows change in between (a deadline passes): then try each alone.
    """
    claims = [
        {**_row_of(fence), "attempt": fence.attempt - 1, "started_at": started_at, "seq": seq}
        for fence, seq in _in_order(seqs)
    ]
    if CLAIM.run_each(claims) == len(claims):
        return {fence.execution_id for fence in seqs}
    got = set(_fenced(seqs).values_list("id", flat=True))
    rest = {fence: seq for fence, seq in seqs.items() if fence.execution_id not in got}
    return got | (_claim_limited(rest, started_at) if rest else set())


def _claim_limited(seqs: Mapping[Fence, int], started_at: datetime) -> set[UUID]:
    """Of the executions of deployments that limit their concurrency, take those that fit."""
    open_rows = (
        ExecutionLog.objects.filter(claimable(), _attempts(seqs, begun=1), is_limited=True, deployment__isnull=False)
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("id")
        .values_list("id", "deployment_id")
    )
    limited: dict[UUID, list[UUID]] = {}
    for execution_id, deployment_id in open_rows:
        if deployment_id is not None:
            limited.setdefault(deployment_id, []).append(execution_id)
    fitting = _within_concurrency(limited) if limited else []
    claimed = ExecutionLog.objects.filter(claimable(), id__in=fitting).update(
        status=ExecutionLog.Status.RUNNING,
        attempt=F("attempt") + 1,
        lease_owner=_owner(seqs),
        lease_expires_at=lease(),
        started_at=Coalesce("started_at", Value(started_at)),
        next_run_at=None,
        seq=_new_seqs(seqs),
    )
    if claimed != len(fitting):
        raise FenceLost
    return set(fitting)


def advance(seqs: Mapping[Fence, int], *, progressed: Collection[UUID] = ()) -> bool:
    """Raise the last sequence numbers under the fence, which locks the rows, and renew the leases.

    False when any fence is lost.

    What has `progressed` (a call's result is recorded with it) is innocent of the losses before.

    This comes before any insert of events: PostgreSQL would let an INSERT … WHERE EXISTS through while the reaper's
    transaction is still open.
    """
    in_order = _in_order(seqs)
    if ADVANCE.run_each({**_row_of(fence), "seq": seq} for fence, seq in in_order) != len(in_order):
        return False
    FORGIVE_LOSSES.run_each(_row_of(fence) for fence, _ in in_order if fence.execution_id in progressed)
    return True


def finish(endings: Mapping[Fence, tuple[int, Ending]]) -> bool:
    """End running executions, each with its last sequence number. False when any fence is lost."""
    rows = [{**_row_of(fence), "seq": seq, **vars(ending)} for fence, (seq, ending) in _in_order(endings)]
    return FINISH.run_each(rows) == len(rows)


def record(events: Sequence[ExecutionEvent]) -> None:
    """Insert events, after their executions were claimed, advanced or finished in the same transaction."""
    INSERT_EVENTS.insert(events)


def count_ended(ended: Iterable[tuple[UUID, datetime]]) -> None:
    """Count ended executions on their deployments: one update each, in order of id, after all execution rows."""
    by_deployment: dict[UUID, list[datetime]] = {}
    for deployment_id, completed_at in ended:
        by_deployment.setdefault(deployment_id, []).append(completed_at)
    COUNT_ENDED.run_each(
        {"id": deployment_id, "execution_count": len(times), "last_execution_at": max(times)}
        for deployment_id, times in sorted(by_deployment.items())
    )


def lock_rows(executions: Collection[UUID], deployments: Collection[UUID]) -> None:
    """Lock these rows in the one order, for a transaction that goes on to change them in another."""
    rows = ExecutionLog.objects.filter(id__in=executions, status=ExecutionLog.Status.RUNNING)
    list(rows.select_for_update(of=("self",)).order_by("id").values_list("id"))
    if deployments:
        # Not against the foreign keys of executions that are being accepted.
        limited = Deployment.objects.filter(id__in=deployments).select_for_update(no_key=True)
        list(limited.order_by("id").values_list("id"))


def renew(fences: Iterable[Fence]) -> dict[UUID, str | None]:
    """Renew the leases that are still held, by the database's clock.

    The ids of those executions, each with who asked to cancel it, or None. An id that is missing was lost. A row that
    is locked is being written to: it keeps the lease that it has.
    """
    held = list(fences)
    if not held:
        return {}
    with transaction.atomic():
        free = _fenced(held).select_for_update(skip_locked=True, of=("self",)).order_by("id")
        ids = list(free.values_list("id", flat=True))
        _fenced(held).filter(id__in=ids).update(lease_expires_at=lease())
    rows = _fenced(held).values_list("id", "cancel_requested_at", "cancel_requested_by")
    return {execution_id: by if asked_at is not None else None for execution_id, asked_at, by in rows}


def request_cancel(*, execution_id: UUID, by: str) -> CancelOutcome:
    """Cancel a queued execution at once; ask the worker of a running one. `ended` when there is nothing to cancel."""
    with transaction.atomic():
        if _cancel_queued(ExecutionLog.objects.filter(id=execution_id), by):
            return "cancelled"
        asked = ExecutionLog.objects.filter(id=execution_id, status=ExecutionLog.Status.RUNNING).update(
            cancel_requested_at=timezone.now(), cancel_requested_by=by
        )
        if asked:
            transaction.on_commit(partial(ask_workers_to_cancel, execution_id, by))
    return "requested" if asked else "ended"


def cancel_queued_of_deployment(*, deployment_id: UUID, by: str) -> int:
    """Cancel what is queued for a deployment that is being undeployed; how many these were."""
    with transaction.atomic():
        return _cancel_queued(ExecutionLog.objects.filter(deployment_id=deployment_id), by)


def release(fence: Fence, seq: int) -> bool:
    """Give a running execution back to the queue, at once and without a loss: its worker is going away."""
    changed = _fenced([fence]).update(
        status=ExecutionLog.Status.QUEUED, seq=seq, lease_owner="", lease_expires_at=None, dispatched_at=None
    )
    return changed == 1


def end_leases_of(owner: str) -> int:
    """Hold the executions of a worker that is known to be gone to be lost, without waiting for their leases."""
    running = ExecutionLog.objects.filter(status=ExecutionLog.Status.RUNNING, lease_owner=owner)
    return running.update(lease_expires_at=Now())


def reap() -> int:
    """End or requeue the executions whose lease is over, and end what waited past its deadline; how many these were.

    Every worker does this about once a second. Each row is a transaction of its own, and one that another worker is at
    is left to it.
    """
    lost = ExecutionLog.objects.filter(status=ExecutionLog.Status.RUNNING, lease_expires_at__lte=Now())
    late = ExecutionLog.objects.filter(status=ExecutionLog.Status.QUEUED, deadline_at__lte=Now())
    reaped = 0
    for overdue in (lost, late):
        for execution_id in list(overdue.values_list("id", flat=True)[:REAPED_AT_ONCE]):
            with transaction.atomic():
                reaped += _reap_locked(overdue.filter(id=execution_id))
    return reaped


def fail_queued(execution_id: UUID, attempt: int, *, code: str, message: str) -> bool:
    """End a queued execution that cannot even be started. False when it is not queued at that attempt any more."""
    with transaction.atomic():
        rows = ExecutionLog.objects.filter(id=execution_id, status=ExecutionLog.Status.QUEUED, attempt=attempt)
        row = rows.select_for_update(of=("self",)).only(*_COLUMNS_TO_END).first()
        if row is None:
            return False
        _end(row, "failed", message, code=code)
        _count_one(row)
        return True


def _reap_locked(overdue: QuerySet[ExecutionLog]) -> int:
    row = overdue.select_for_update(skip_locked=True, of=("self",)).only(*_COLUMNS_TO_END).first()
    if row is None:
        return 0
    if _reap_one(row):
        _count_one(row)
    return 1


def _count_one(row: ExecutionLog) -> None:
    if row.deployment_id is not None:
        count_ended([(row.deployment_id, timezone.now())])


def _reap_one(row: ExecutionLog) -> bool:
    """Whether it has ended; else it is queued again, a little later for each worker that was lost with it."""
    if row.cancel_requested_at is not None:
        _end(row, "cancelled", f"Cancelled by {row.cancel_requested_by}.", by=row.cancel_requested_by)
        return True
    if row.deadline_at is not None and row.deadline_at <= timezone.now():
        _end(row, "failed", "The execution's deadline passed before it could end.", code="timeout")
        return True
    if row.losses + 1 >= MAX_LOSSES:
        message = f"The worker was lost {MAX_LOSSES} times in a row while it ran this execution."
        _end(row, "failed", message, code="worker_lost")
        return True
    _still(row).update(
        status=ExecutionLog.Status.QUEUED,
        losses=F("losses") + 1,
        lease_owner="",
        lease_expires_at=None,
        dispatched_at=None,
        next_run_at=Now() + timedelta(seconds=2**row.losses),
    )
    return False


def _cancel_queued(executions: QuerySet[ExecutionLog], by: str) -> int:
    rows = executions.filter(status=ExecutionLog.Status.QUEUED).select_for_update().order_by("id")
    cancelled = list(rows.only(*_COLUMNS_TO_END))
    for row in cancelled:
        _end(row, "cancelled", f"Cancelled by {by} before it started.", by=by)
    count_ended((row.deployment_id, timezone.now()) for row in cancelled if row.deployment_id is not None)
    return len(cancelled)


def _end(
    row: ExecutionLog, status: Literal["failed", "cancelled"], error: str, *, code: str = "", by: str | None = None
) -> None:
    """End a locked row that no worker holds, with its last event."""
    now = timezone.now()
    duration_ms = 0 if row.started_at is None else max(0, round((now - row.started_at).total_seconds() * 1000))
    _still(row).update(
        status=status,
        seq=row.seq + 1,
        completed_at=now,
        duration_ms=duration_ms,
        error=error,
        error_code=code,
        cancel_requested_at=row.cancel_requested_at if by is None else row.cancel_requested_at or now,
        cancel_requested_by=by or row.cancel_requested_by,
        lease_owner="",
        lease_expires_at=None,
    )
    payload: JsonObject = {"code": code, "message": error} if by is None else {"by": by}
    ExecutionEvent.objects.create(
        execution_id=row.id,
        seq=row.seq + 1,
        type=f"execution.{status}",
        payload=payload | {"duration_ms": duration_ms},
        at=now,
    )
    transaction.on_commit(partial(announce, row.id, row.seq + 1, has_ended=True))


def _still(row: ExecutionLog) -> QuerySet[ExecutionLog]:
    return ExecutionLog.objects.filter(id=row.id, status=row.status, attempt=row.attempt)


def _within_concurrency(limited: Mapping[UUID, list[UUID]]) -> list[UUID]:
    """Of the executions of limited deployments, the oldest that fit; counted under the deployment's lock."""
    fitting: list[UUID] = []
    deployments = Deployment.objects.filter(id__in=limited).select_for_update(no_key=True).order_by("id")
    for deployment_id, max_concurrent in deployments.values_list("id", "max_concurrent"):
        waiting = limited[deployment_id]
        if max_concurrent is None:
            fitting += waiting
            continue
        running = ExecutionLog.objects.filter(deployment_id=deployment_id, status=ExecutionLog.Status.RUNNING).count()
        fitting += waiting[: max(0, max_concurrent - running)]
    return fitting


def _in_order(by_fence: Mapping[Fence, T]) -> list[tuple[Fence, T]]:
    return sorted(by_fence.items(), key=lambda item: item[0].execution_id)


def _row_of(fence: Fence) -> dict[str, object]:
    return {"id": fence.execution_id, "attempt": fence.attempt, "lease_owner": fence.owner}


def _fenced(fences: Iterable[Fence]) -> QuerySet[ExecutionLog]:
    held = list(fences)
    return ExecutionLog.objects.filter(_attempts(held), status=ExecutionLog.Status.RUNNING, lease_owner=_owner(held))


def _attempts(fences: Iterable[Fence], *, begun: int = 0) -> Q:
    """The rows of these fences at their attempt, or at the one before (`begun=1`), one IN list for each attempt."""
    by_attempt: dict[int, list[UUID]] = {}
    for fence in fences:
        by_attempt.setdefault(fence.attempt - begun, []).append(fence.execution_id)
    return reduce(or_, (Q(attempt=attempt, id__in=ids) for attempt, ids in by_attempt.items()))


def _owner(fences: Iterable[Fence]) -> str:
    (owner,) = {fence.owner for fence in fences}
    return owner


def _new_seqs(seqs: Mapping[Fence, int]) -> Case | Value:
    if len(seqs) == 1:
        return Value(next(iter(seqs.values())))
    whens = (When(id=fence.execution_id, then=Value(seq)) for fence, seq in seqs.items())
    return Case(*whens, default=F("seq"), output_field=PositiveIntegerField())
