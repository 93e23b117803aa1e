"""Executions that wait for the earlier ones of their schedule. Every worker sees to them about once a second."""

from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from deployments.executions import lifecycle
from deployments.executions.limits import ExecutionLimits
from deployments.executions.publisher import publisher
from deployments.models import ExecutionLog, ScheduleConfig
from deployments.models.execution import UNFINISHED_STATUSES
from deployments.scheduling.errors import InvalidSchedule
from deployments.scheduling.policies import is_missed
from deployments.scheduling.times import Timetable

AT_ONCE = 100
CANCELLED_BY = "schedule"


def release_followers() -> int:
    """Let the oldest execution that waits run, of each schedule whose earlier ones have ended; how many these were.

    A worker that dies between an end and this loses nothing: the next sweep finds the same.
    """
    ahead = ExecutionLog.objects.filter(schedule_id=OuterRef("schedule_id"), status__in=UNFINISHED_STATUSES)
    blocked = ahead.filter(waits_for_previous=False) | ahead.filter(
        waits_for_previous=True, scheduled_for__lt=OuterRef("scheduled_for")
    )
    free = list(_waiting().filter(~Exists(blocked)).values_list("id", "attempt", "limits")[:AT_ONCE])
    released = 0
    for execution_id, attempt, limits in free:
        deadline = timezone.now() + timedelta(seconds=ExecutionLimits.from_json(limits).deadline_seconds)
        if lifecycle.release_follower(execution_id, deadline_at=deadline):
            publisher.publish(execution_id, attempt)
            released += 1
    _cancel_what_is_in_the_way()
    return released


def cancel_previous(*, schedule_id: UUID) -> None:
    """Cancel the schedule's unfinished executions but the latest, which waits for their end."""
    unfinished = ExecutionLog.objects.filter(schedule_id=schedule_id, status__in=UNFINISHED_STATUSES).order_by(
        "-scheduled_for"
    )
    for execution_id in list(unfinished.values_list("id", flat=True)[1:]):
        lifecycle.request_cancel(execution_id=execution_id, by=CANCELLED_BY)


def _cancel_what_is_in_the_way() -> None:
    """What a beat that died after its commit did not come to."""
    waiting = _waiting().filter(
        schedule__overlap=ScheduleConfig.Overlap.CANCEL_PREVIOUS, created_at__gte=F("schedule__in_force_since")
    )
    for schedule_id in list(waiting.order_by().values_list("schedule_id", flat=True).distinct()[:AT_ONCE]):
        if schedule_id is not None and _latest_is_on_time(schedule_id):
            cancel_previous(schedule_id=schedule_id)


def _latest_is_on_time(schedule_id: UUID) -> bool:
    """What was caught up, one after the other, cancels nothing."""
    latest = _waiting().filter(schedule_id=schedule_id).order_by("-scheduled_for").select_related("schedule").first()
    if latest is None or latest.schedule is None or latest.scheduled_for is None:
        return False
    try:
        fires_at = Timetable.of(latest.schedule).fires_at(latest.scheduled_for)
    except InvalidSchedule:
        return False
    return not is_missed(fires_at, latest.created_at)


def _waiting() -> QuerySet[ExecutionLog]:
    waiting = ExecutionLog.objects.filter(waits_for_previous=True, status=ExecutionLog.Status.QUEUED)
    return waiting.order_by("created_at")
