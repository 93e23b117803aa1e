"""Which queued executions the workers are told of, beyond those that were just accepted."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Count, F, IntegerField, Q, Value, When, Window
from django.db.models.functions import Now, RowNumber

from deployments.executions.publisher import publisher
from deployments.models import Deployment, ExecutionLog


def publish_next_of(deployment_id: UUID) -> int:
    """Publish the oldest queued executions of a deployment that limits its concurrency, as many as fit now.

    Publishing too many does no harm: the claim counts again, under the deployment's lock. But each end publishes, and
    so no more than one worker can run. Where the limit was lifted meanwhile the sweep sees to them. Returns how many.
    """
    limit = Deployment.objects.values_list("max_concurrent", flat=True).get(id=deployment_id)
    if limit is None:
        return 0
    executions = ExecutionLog.objects.filter(deployment_id=deployment_id)
    running = executions.filter(status=ExecutionLog.Status.RUNNING).count()
    room = min(limit - running, settings.ENVIRONMENT.max_concurrent_executions)
    if room <= 0:
        return 0
    waiting = executions.filter(_due(), is_limited=True).order_by("created_at", "id")
    return _publish(list(waiting.values_list("id", flat=True)[:room]), _due())


def dispatch_due(capacity: int) -> int:
    """Publish the oldest executions that are due and that nobody was told of lately, in turns over deployments.

    So a lost message is made up for, and one deployment's backlog starves nobody: nor does one that its deployment's
    limit keeps waiting. Returns how many.
    """
    if capacity <= 0:
        return 0
    due = _due() & _not_told_lately()
    ids = [
        execution_id for execution_id, turn, room in _in_turns(due, _rooms(), capacity) if room is None or turn <= room
    ]
    return _publish(ids, due) if ids else 0


def _in_turns(due: Q, rooms: Mapping[UUID, int], count: int) -> list[tuple[UUID, int, int | None]]:
    """The first ids, each with its turn in its deployment, and the room there; what finds no room comes last.

    Sorted rather than filtered by its turn, which would take a second look at all that is queued.
    """
    by_room: dict[int, list[UUID]] = {}
    for deployment_id, room in rooms.items():
        by_room.setdefault(room, []).append(deployment_id)
    full = [deployment_id for deployment_id, room in rooms.items() if room <= 0]
    limited = [When(is_limited=True, deployment_id__in=ids, then=Value(room)) for room, ids in by_room.items()]
    room_there = Case(*limited, default=None, output_field=IntegerField()) if limited else Value(None, IntegerField())
    turn = Window(RowNumber(), partition_by=[F("deployment_id")], order_by=[F("created_at"), F("id")])
    rows = ExecutionLog.objects.filter(due).exclude(is_limited=True, deployment_id__in=full)
    finds_none = Case(When(turn__gt=F("room"), then=Value(1)), default=Value(0))
    rows_in_turn = rows.annotate(turn=turn, room=room_there).order_by(finds_none, "turn", "created_at")
    return list(rows_in_turn.values_list("id", "turn", "room")[:count])


def _rooms() -> dict[UUID, int]:
    """How many executions each deployment that limits its concurrency may still start."""
    limits = dict(Deployment.objects.filter(max_concurrent__isnull=False).values_list("id", "max_concurrent"))
    if not limits:
        return {}
    running = ExecutionLog.objects.filter(status=ExecutionLog.Status.RUNNING, deployment_id__in=limits).order_by()
    counts = dict(running.values_list("deployment_id").annotate(Count("id")))
    return {deployment_id: (limit or 0) - counts.get(deployment_id, 0) for deployment_id, limit in limits.items()}


def _publish(ids: Collection[UUID], still: Q) -> int:
    """Publish those that are so still, and that nobody else is just publishing or claiming."""
    with transaction.atomic():
        free = ExecutionLog.objects.filter(still, id__in=ids)
        rows = list(free.select_for_update(skip_locked=True, of=("self",)).order_by("id").values_list("id", "attempt"))
        ExecutionLog.objects.filter(id__in=[execution_id for execution_id, _ in rows]).update(dispatched_at=Now())
    for execution_id, attempt in rows:
        publisher.publish(execution_id, attempt)
    return len(rows)


def _due() -> Q:
    return Q(
        Q(next_run_at__isnull=True) | Q(next_run_at__lte=Now()),
        status=ExecutionLog.Status.QUEUED,
        waits_for_previous=False,
    )


def _not_told_lately() -> Q:
    """A message has this long to be claimed before it is sent again."""
    lately = Now() - timedelta(seconds=settings.ENVIRONMENT.redispatch_seconds)
    return Q(dispatched_at__isnull=True) | Q(dispatched_at__lte=lately)
