"""Schedules that pause themselves: after failures in a row, and when they cannot be evaluated any more."""

import logging
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.scheduling.entries import schedule_deployment

log = logging.getLogger(__name__)

SYSTEM = "system"
ENDED = (ExecutionLog.Status.COMPLETED, ExecutionLog.Status.FAILED)


def pause_when_failing(*, schedule_id: UUID) -> bool:
    """Pause the schedule, and put its deployment in error, if it is failing; whether it did."""
    schedule = ScheduleConfig.objects.filter(id=schedule_id, paused_at__isnull=True).first()
    if schedule is None or not is_failing(schedule):
        return False
    failed = (
        "execution failed"
        if schedule.pause_after_failures == 1
        else (f"last {schedule.pause_after_failures} executions failed")
    )
    return _pause(schedule_id, f"The schedule's {failed}. See the history, then set the deployment active again.")


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
    """Pause a schedule whose times cannot be told, and put its deployment in error; whether it did."""
    return _pause(schedule_id, f"The schedule cannot be evaluated: {reason}")


def _pause(schedule_id: UUID, reason: str) -> bool:
    with transaction.atomic():
        # The deployment first, then its schedule: the order in which whoever edits them takes these locks.
        found = Deployment.objects.live().filter(schedule__id=schedule_id, status=Deployment.Status.ACTIVE)
        deployment = found.select_for_update(no_key=True, of=("self",)).first()
        if deployment is None:
            return False
        paused = ScheduleConfig.objects.filter(id=schedule_id, paused_at__isnull=True).update(
            paused_by=SYSTEM, paused_reason=reason, paused_at=timezone.now()
        )
        if not paused:
            return False
        Deployment.objects.filter(id=deployment.id).update(
            status=Deployment.Status.ERROR, status_reason=reason, updated_at=timezone.now()
        )
        schedule = ScheduleConfig.objects.select_related("deployment").get(id=schedule_id)
        schedule_deployment(schedule=schedule, after=timezone.now())
    log.warning("Deployment %s is in error: %s", deployment.endpoint_path, reason)
    return True
