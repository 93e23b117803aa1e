"""Which queued executions the workers are told of, beyond those that were just accepted."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet, Window
from django.db.models.functions import Now, RowNumber

from deployments.executions.publisher import publisher
from deployments.models import Deployment, ExecutionLog


def publish_next_of(deployment_id: UUID) -> int:
    """Publish the oldest queued executions of a deployment that limits its concurrency, as many as fit now.

    Publishing too many does no harm: the claim counts again, under the deployment's lock. Returns how many.
    """
    limit = Deployment.objects.values_list("max_concurrent", flat=True).get(id=deployment_id)
    executions = ExecutionLog.objects.filter(deployment_id=deployment_id)
    running = executions.filter(status=ExecutionLog.Status.RUNNING).count()
    queued = executions.filter(status=ExecutionLog.Status.QUEUED, is_limited=True, waits_for_previous=False).order_by(
        "created_at", "id"
    )
    room = None if limit is None else max(0, limit - running)
    waiting = list(queued.order_by("created_at", "id").values_list("id", "attempt")[:room])
    for execution_id, attempt in waiting:
        publisher.publish(execution_id, attempt)
    return len(waiting)


def dispatch_due(capacity: int) -> int:
    """Publish the oldest executions that are due and that nobody was told of lately, in turns over deployments.

    So a lost message is made up for, and one deployment's backlog starves nobody. Returns how many.
    """
    if capacity <= 0:
        return 0
    turn = Window(RowNumber(), partition_by=[F("deployment_id")], order_by=[F("created_at"), F("id")])
    candidates = _due().annotate(turn=turn).order_by("turn", "created_at").values_list("id", flat=True)[:capacity]
    ids = list(candidates)
    if not ids:
        return 0
    with transaction.atomic():
        free = _due().filter(id__in=ids).select_for_update(skip_locked=True, of=("self",)).order_by("id")
        rows = list(free.values_list("id", "attempt"))
        ExecutionLog.objects.filter(id__in=[execution_id for execution_id, _ in rows]).update(dispatched_at=Now())
    for execution_id, attempt in rows:
        publisher.publish(execution_id, attempt)
    return len(rows)


def _due() -> QuerySet[ExecutionLog]:
    """Queued, due, and not dispatched lately: a message has this long to be claimed before it is sent again."""
    lately = Now() - timedelta(seconds=settings.ENVIRONMENT.redispatch_seconds)
    return ExecutionLog.objects.filter(
        Q(next_run_at__isnull=True) | Q(next_run_at__lte=Now()),
        Q(dispatched_at__isnull=True) | Q(dispatched_at__lte=lately),
        status=ExecutionLog.Status.QUEUED,
        waits_for_previous=False,
    )
