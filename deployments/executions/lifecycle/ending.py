"""What ends executions that no worker ends, and what takes lost ones back into the queue."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access.audit import record_action
from deployments.executions.lifecycle.running import Ended, count_ended
from deployments.live.announcements import announce, ask_workers_to_cancel
from deployments.models import ExecutionEvent, ExecutionLog
from deployments.telemetry import count_lost_lease
from executor.json_types import JsonObject
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

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
    "team_id",
    "started_at",
    "cancel_requested_at",
    "cancel_requested_by",
)


def request_cancel(*, execution_id: UUID, by: str) -> CancelOutcome:
    """Cancel a queued execution at once; ask the worker of a running one. `ended` when there is nothing to cancel."""
    with transaction.atomic():
        # The row is locked whatever its status, and what the lock shows decides. Asked for by its status it could slip
        # through: running when the queued one is looked for, given back by its worker before the running one is.
        row = _lock(ExecutionLog.objects.filter(id=execution_id))
        if row is None or row.is_terminal:
            return "ended"
        record_action("execution.cancelled", by=by, team_id=row.team_id, on=("execution", execution_id))
        if row.status == ExecutionLog.Status.QUEUED:
            _cancel_queued([row], by)
            return "cancelled"
        _still(row).update(cancel_requested_at=timezone.now(), cancel_requested_by=by)
        transaction.on_commit(partial(ask_workers_to_cancel, execution_id, by))
        return "requested"


def cancel_queued_of_deployment(*, deployment_id: UUID, by: str) -> int:
    """Cancel what is queued for a deployment that is being undeployed; how many these were."""
    with transaction.atomic():
        queued = ExecutionLog.objects.filter(deployment_id=deployment_id, status=ExecutionLog.Status.QUEUED)
        return _cancel_queued(queued.select_for_update(of=("self",)).order_by("id").only(*_COLUMNS_TO_END), by)


def reap() -> int:
    """End or requeue the executions whose lease is over, and end what waits in vain; how many these were.

    In vain waits what is past its deadline, and what its worker gave back before it heard that it was to be cancelled.
    Every worker does this about once a second. Each row is a transaction of its own, and one that another worker is at
    is left to it; one that cannot be seen to is logged, and holds up no other. Raises what an outage of the database
    does.
    """
    lost = ExecutionLog.objects.filter(status=ExecutionLog.Status.RUNNING, lease_expires_at__lte=Now())
    in_vain = ExecutionLog.objects.filter(
        Q(deadline_at__lte=Now()) | Q(cancel_requested_at__isnull=False), status=ExecutionLog.Status.QUEUED
    )
    reaped = _reap_each(lost.order_by("lease_expires_at"), _take_from_lost_worker)
    return reaped + _reap_each(in_vain.order_by("deadline_at"), _end_in_vain)


def fail_queued(execution_id: UUID, attempt: int, *, code: str, message: str) -> bool:
    """End a queued execution that cannot even be started. False when it is not queued at that attempt any more."""
    with transaction.atomic():
        rows = ExecutionLog.objects.filter(id=execution_id, status=ExecutionLog.Status.QUEUED, attempt=attempt)
        row = _lock(rows)
        if row is None:
            return False
        _end(row, "failed", message, code=code)
        _count_one(row)
        return True


def _reap_each(overdue: QuerySet[ExecutionLog], see_to: Callable[[ExecutionLog], bool]) -> int:
    """See to each row that is overdue still once it is locked; those that have ended are counted."""
    reaped = 0
    for execution_id in list(overdue.values_list("id", flat=True)[:REAPED_AT_ONCE]):
        try:
            with transaction.atomic():
                row = _lock(overdue.filter(id=execution_id), skip_locked=True)
                if row is None:
                    continue
                if see_to(row):
                    _count_one(row)
            reaped += 1
        except DATABASE_OUTAGES:
            raise
        except Exception:
            log.exception("Execution %s is overdue, and cannot be ended or queued again", execution_id)
    return reaped


def _end_in_vain(row: ExecutionLog) -> bool:
    """End a queued row. What was not to be cancelled is past its deadline, by the database's clock that found it."""
    if row.cancel_requested_at is None:
        _time_out(row)
    else:
        _cancel_as_requested(row)
    return True


def _take_from_lost_worker(row: ExecutionLog) -> bool:
    """Whether the running row has ended; else it is queued again, a little later for each worker lost with it."""
    transaction.on_commit(count_lost_lease)
    if row.cancel_requested_at is not None:
        _cancel_as_requested(row)
        return True
    if ExecutionLog.objects.filter(id=row.id, deadline_at__lte=Now()).exists():  # by the clock that claims go by
        _time_out(row)
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


def _cancel_queued(rows: Iterable[ExecutionLog], by: str) -> int:
    """Cancel rows that are queued and locked."""
    cancelled = list(rows)
    for row in cancelled:
        _end(row, "cancelled", f"Cancelled by {by} before it started.", by=by)
    now = timezone.now()
    count_ended(Ended(row.id, row.deployment_id, now) for row in cancelled if row.deployment_id is not None)
    return len(cancelled)


def _cancel_as_requested(row: ExecutionLog) -> None:
    _end(row, "cancelled", f"Cancelled by {row.cancel_requested_by}.", by=row.cancel_requested_by)


def _time_out(row: ExecutionLog) -> None:
    _end(row, "failed", "The execution's deadline passed before it could end.", code="timeout")


def _count_one(row: ExecutionLog) -> None:
    if row.deployment_id is not None:
        count_ended([Ended(row.id, row.deployment_id, timezone.now())])


def _lock(rows: QuerySet[ExecutionLog], *, skip_locked: bool = False) -> ExecutionLog | None:
    """The row, if there is one, with what its ending needs."""
    return rows.select_for_update(skip_locked=skip_locked, of=("self",)).only(*_COLUMNS_TO_END).first()


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
