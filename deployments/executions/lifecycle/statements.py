"""The statements that every execution goes through, prepared; only `lifecycle` runs them."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce, Greatest, Now

from deployments.models import Deployment, ExecutionEvent, ExecutionLog
from deployments.prepared_statements import MakeSlot, PreparedInsert, PreparedUpdate

Rows = QuerySet[ExecutionLog]


def claimable() -> Q:
    """Queued, due, before its deadline, not cancelled, waiting for nobody."""
    return Q(
        Q(next_run_at__isnull=True) | Q(next_run_at__lte=Now()),
        Q(deadline_at__isnull=True) | Q(deadline_at__gt=Now()),
        status=ExecutionLog.Status.QUEUED,
        cancel_requested_at__isnull=True,
        waits_for_previous=False,
    )


def lease() -> CombinedExpression:
    """When a lease ends that is taken now, by the database's clock."""
    return Now() + timedelta(seconds=settings.ENVIRONMENT.lease_seconds)


def _free(slot: MakeSlot) -> Rows:
    # What another worker is just claiming is left to it: two that got the same messages must not wait for each other.
    queued = ExecutionLog.objects.filter(claimable(), id=slot("id"), attempt=slot("attempt"), is_limited=False)
    free = queued.select_for_update(skip_locked=True, of=("self",)).order_by().values("id")
    return ExecutionLog.objects.filter(claimable(), id__in=free)


def _held(slot: MakeSlot) -> Rows:
    return ExecutionLog.objects.filter(
        id=slot("id"),
        attempt=slot("attempt"),
        status=ExecutionLog.Status.RUNNING,
        lease_owner=slot("lease_owner"),
    )


def _claimed(slot: MakeSlot) -> dict[str, Any]:
    return {
        "status": ExecutionLog.Status.RUNNING,
        "attempt": F("attempt") + 1,
        "lease_owner": slot("lease_owner"),
        "lease_expires_at": lease(),
        "started_at": Coalesce("started_at", slot("started_at")),
        "next_run_at": None,
        "seq": slot("seq"),
    }


def _finished(slot: MakeSlot) -> dict[str, Any]:
    names = ("status", "seq", "completed_at", "duration_ms", "result_data", "error", "error_code", "error_detail")
    return {name: slot(name) for name in (*names, "usage", "cost")} | {"lease_owner": "", "lease_expires_at": None}


def _counted(slot: MakeSlot) -> dict[str, Any]:
    last = slot("last_execution_at")
    return {
        "execution_count": F("execution_count") + slot("execution_count"),
        "last_execution_at": Greatest(Coalesce("last_execution_at", last), last),
    }


INSERT_EXECUTION = PreparedInsert(ExecutionLog)
INSERT_EVENTS = PreparedInsert(ExecutionEvent)
#: `id`, `attempt` before the claim, `lease_owner`, `started_at`, `seq`; of a deployment without a limit only.
CLAIM = PreparedUpdate(ExecutionLog, _free, _claimed)
#: `id`, `attempt`, `lease_owner` are the fence; here and below.
ADVANCE = PreparedUpdate(ExecutionLog, _held, lambda slot: {"seq": slot("seq"), "lease_expires_at": lease()})
FORGIVE_LOSSES = PreparedUpdate(ExecutionLog, _held, lambda _: {"losses": 0})
FINISH = PreparedUpdate(ExecutionLog, _held, _finished)
#: `id` of the deployment, how many have ended as `execution_count`, `last_execution_at`.
COUNT_ENDED = PreparedUpdate(Deployment, lambda slot: Deployment.objects.filter(id=slot("id")), _counted)
