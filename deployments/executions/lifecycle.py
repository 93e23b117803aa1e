"""Every change of an execution's status, one function each.

Each is a compare-and-set UPDATE whose row count decides. The order of locks is always the same: execution rows by id,
then deployment rows by id. Leases are by the database's clock; the times people read are by the process's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial, reduce
from operator import or_
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, PositiveIntegerField, Q, QuerySet, Value, When
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from deployments.live.announcements import announce, ask_workers_to_cancel
from deployments.models import Deployment, ExecutionEvent, ExecutionLog
from executor.json_types import JsonObject

CancelOutcome = Literal["cancelled", "requested", "ended"]


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
    error_detail: JsonObject | None = None
    usage: JsonObject | None = None
    cost: Decimal | None = None


def accept(execution: ExecutionLog) -> None:
    """Insert the queued row and its first event; to be called inside the accepting transaction."""
    execution.status = ExecutionLog.Status.QUEUED
    execution.seq = 1
    execution.save(force_insert=True)
    payload: JsonObject = {"trigger_type": execution.trigger_type, "triggered_by": execution.triggered_by}
    ExecutionEvent.objects.create(
        execution=execution, seq=1, type="execution.accepted", payload=payload, at=execution.created_at
    )


def claim(seqs: Mapping[Fence, int], *, started_at: datetime) -> set[UUID]:
    """Take queued executions for this worker, with their new last sequence numbers; the ids of those that it got.

    A fence names the attempt that the claim begins. What another worker is just claiming is left to it; what is not
    queued any more, not due, past its deadline, cancelled, or over its deployment's limit, is not got.
    """
    open_rows = (
        ExecutionLog.objects.filter(_claimable(), _attempts(seqs, begun=1))
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("id")
        .values_list("id", "is_limited", "deployment_id")
    )
    got: list[UUID] = []
    limited: dict[UUID, list[UUID]] = {}
    for execution_id, is_limited, deployment_id in open_rows:
        if is_limited and deployment_id is not None:
            limited.setdefault(deployment_id, []).append(execution_id)
        else:
            got.append(execution_id)
    got += _within_concurrency(limited)
    if got:
        ExecutionLog.objects.filter(_claimable(), id__in=got).update(
            status=ExecutionLog.Status.RUNNING,
            attempt=F("attempt") + 1,
            lease_owner=_owner(seqs),
            lease_expires_at=_lease(),
            started_at=Coalesce("started_at", Value(started_at)),
            next_run_at=None,
            seq=_new_seqs(seqs),
        )
    return set(got)


def advance(seqs: Mapping[Fence, int]) -> bool:
    """Raise the last sequence numbers under the fence, which locks the rows. False when any fence is lost.

    This comes before any insert of events: PostgreSQL would let an INSERT … WHERE EXISTS through while the reaper's
    transaction is still open.
    """
    return _fenced(seqs).update(seq=_new_seqs(seqs)) == len(seqs)


def finish(fence: Fence, seq: int, ending: Ending) -> bool:
    """End a running execution. False when the fence is lost."""
    changed = _fenced([fence]).update(
        status=ending.status,
        seq=seq,
        completed_at=ending.completed_at,
        duration_ms=ending.duration_ms,
        result_data=ending.result_data,
        error=ending.error,
        error_code=ending.error_code,
        error_detail=ending.error_detail or {},
        usage=ending.usage,
        cost=ending.cost,
        lease_owner="",
        lease_expires_at=None,
    )
    return changed == 1


def count_ended(ended: Iterable[tuple[UUID, datetime]]) -> None:
    """Count ended executions on their deployments: one update each, in order of id, after all execution rows."""
    by_deployment: dict[UUID, list[datetime]] = {}
    for deployment_id, completed_at in ended:
        by_deployment.setdefault(deployment_id, []).append(completed_at)
    for deployment_id in sorted(by_deployment):
        times = by_deployment[deployment_id]
        Deployment.objects.filter(id=deployment_id).update(
            execution_count=F("execution_count") + len(times),
            last_execution_at=Greatest(Coalesce("last_execution_at", Value(max(times))), Value(max(times))),
        )


def renew(fences: Iterable[Fence]) -> dict[UUID, str | None]:
    """Renew the leases that are still held, by the database's clock.

    The ids of those executions, each with who asked to cancel it, or None. An id that is missing was lost.
    """
    held = list(fences)
    if not held:
        return {}
    _fenced(held).update(lease_expires_at=_lease())
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


def _cancel_queued(executions: QuerySet[ExecutionLog], by: str) -> int:
    now = timezone.now()
    queued = executions.filter(status=ExecutionLog.Status.QUEUED).select_for_update().order_by("id")
    rows = list(queued.values_list("id", "seq", "deployment_id"))
    for execution_id, seq, _ in rows:
        ExecutionLog.objects.filter(id=execution_id, status=ExecutionLog.Status.QUEUED).update(
            status=ExecutionLog.Status.CANCELLED,
            seq=seq + 1,
            completed_at=now,
            duration_ms=0,
            cancel_requested_at=now,
            cancel_requested_by=by,
            error=f"Cancelled by {by} before it started.",
        )
        ExecutionEvent.objects.create(
            execution_id=execution_id, seq=seq + 1, type="execution.cancelled", payload={"by": by}, at=now
        )
        transaction.on_commit(partial(announce, execution_id, seq + 1))
    count_ended((deployment_id, now) for _, _, deployment_id in rows if deployment_id is not None)
    return len(rows)


def _within_concurrency(limited: Mapping[UUID, list[UUID]]) -> list[UUID]:
    """Of the executions of limited deployments, the oldest that fit; counted under the deployment's lock."""
    fitting: list[UUID] = []
    deployments = Deployment.objects.filter(id__in=limited).select_for_update().order_by("id")
    for deployment_id, max_concurrent in deployments.values_list("id", "max_concurrent"):
        waiting = limited[deployment_id]
        if max_concurrent is None:
            fitting += waiting
            continue
        running = ExecutionLog.objects.filter(deployment_id=deployment_id, status=ExecutionLog.Status.RUNNING).count()
        fitting += waiting[: max(0, max_concurrent - running)]
    return fitting


def _claimable() -> Q:
    return Q(
        Q(next_run_at__isnull=True) | Q(next_run_at__lte=Now()),
        Q(deadline_at__isnull=True) | Q(deadline_at__gt=Now()),
        status=ExecutionLog.Status.QUEUED,
        cancel_requested_at__isnull=True,
    )


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


def _new_seqs(seqs: Mapping[Fence, int]) -> Case:
    whens = (When(id=fence.execution_id, then=Value(seq)) for fence, seq in seqs.items())
    return Case(*whens, default=F("seq"), output_field=PositiveIntegerField())


def _lease() -> CombinedExpression:
    return Now() + timedelta(seconds=settings.ENVIRONMENT.lease_seconds)
