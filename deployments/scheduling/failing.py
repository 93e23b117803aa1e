"""Schedules that pause themselves: after failures in a row, and when they cannot be evaluated any more."""

import logging
from collections.abc import Callable
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from deployments.alerts.outbox import write_schedule_paused
from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.scheduling.entries import schedule_deployment

log = logging.getLogger(__name__)

SYSTEM = "system"
ENDED = (ExecutionLog.Status.COMPLETED, ExecutionLog.Status.FAILED)
#: Why a schedule is to pause; None when it is not.
Reason = Callable[[ScheduleConfig], str | None]


def pause_when_failing(*, schedule_id: UUID) -> bool:
    """Pause the schedule, and put its deployment in error, if it is failing; whether it did."""
    schedule = ScheduleConfig.objects.filter(id=schedule_id, paused_at__isnull=True).first()
    return schedule is not None and is_failing(schedule) and _pause(schedule_id, _why_failing)


def is_failing(schedule: ScheduleConfig) -> bool:
    """Whether its last executions all failed, as many as `pause_after_failures` says.

    Those count that were made since the schedule was last edited or resumed; cancelled and skipped ones do not.
    """
    if schedule.pause_after_failures is None:
        return False
    since = schedule.in_force_since or schedule.created_at
    ended = ExecutionLog.objects.filter(schedule_id=schedule.id, status__in=ENDED, created_at__gte=since)
    last = list(ended.order_by("-scheduled_for").values_list("status", flat=True)[: schedule.pause_after_failures])
    return len(last) == schedule.pause_after_failures and set(last) == {ExecutionLog.Status.FAILED}


def pause_broken(*, schedule_id: UUID, reason: str) -> bool:
    """Pause a schedule that is due and cannot be fired, and put its deployment in error; whether it did."""

    def why(schedule: ScheduleConfig) -> str | None:
        # Somebody may have mended it meanwhile: then it goes on from there, and is not due.
        is_due = schedule.next_fire_at is not None and schedule.next_fire_at <= timezone.now()
        return f"The schedule cannot be evaluated: {reason}" if is_due else None

    return _pause(schedule_id, why)


def _why_failing(schedule: ScheduleConfig) -> str | None:
    if not is_failing(schedule):
        return None
    count = schedule.pause_after_failures
    failed = "execution failed" if count == 1 else f"last {count} executions failed"
    return f"The schedule's {failed}. See the history, then set the deployment active again."


def _pause(schedule_id: UUID, why: Reason) -> bool:
    with transaction.atomic():
        # The deployment first, then its schedule: the order in which whoever edits them takes these locks.
        found = Deployment.objects.live().filter(schedule__id=schedule_id, status=Deployment.Status.ACTIVE)
        deployment = found.select_for_update(no_key=True, of=("self",)).first()
        if deployment is None:
            return False
        schedule = ScheduleConfig.objects.select_for_update().filter(id=schedule_id, paused_at__isnull=True).first()
        # Asked again under the locks: an edit since then has started the count, or the times, anew.
        reason = None if schedule is None else why(schedule)
        if schedule is None or reason is None:
            return False
        now = timezone.now()
        pause = {"paused_by": SYSTEM, "paused_reason": reason, "paused_at": now}
        ScheduleConfig.objects.filter(id=schedule_id).update(**pause)
        Deployment.objects.filter(id=deployment.id).update(
            status=Deployment.Status.ERROR, status_reason=reason, updated_at=now
        )
        current = ScheduleConfig.objects.select_related("deployment").get(id=schedule_id)
        schedule_deployment(schedule=current, after=now)
        write_schedule_paused(deployment, reason=reason, at=now)
    log.warning("Deployment %s is in error: %s", deployment.endpoint_path, reason)
    return True
