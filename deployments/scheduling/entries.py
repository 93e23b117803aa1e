"""When a schedule fires next, and its projection into beat's tables. Nothing else writes either.

`ScheduleConfig.next_occurrence_at` is what fires. Each schedule also stands in django-celery-beat's tables, so that
the admin shows it there and a stock beat would still run it; our own beat leaves those entries out.
"""

import json
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from deployments.models import Deployment, ScheduleConfig
from deployments.scheduling.cron import Cron
from deployments.scheduling.times import Timetable

#: The task of our entries.
FIRE_SCHEDULE = "deployments.fire_schedule"


def schedule_deployment(*, schedule: ScheduleConfig, after: datetime) -> None:
    """Have the schedule fire at its first time after `after`, if it is in force at all; to be called in a transaction.

    It is in force while it is enabled and not paused, and its deployment is active. Raises what `Timetable.of` does.
    """
    occurrence = next(Timetable.of(schedule).after(after), None) if _is_in_force(schedule) else None
    _set_next(schedule, occurrence)
    schedule.in_force_since = after
    ScheduleConfig.objects.filter(id=schedule.id).update(in_force_since=after)
    _write_entries(schedule)


def unschedule_deployment(*, schedule: ScheduleConfig) -> None:
    """Have the schedule fire no more, and take it out of beat's tables."""
    _set_next(schedule, None)
    PeriodicTask.objects.filter(name__in=_names(schedule.id)).delete()


def names_of_entries(schedule_id: UUID) -> tuple[str, ...]:
    """The names that a schedule's entries may have in beat's tables."""
    return _names(schedule_id)


def _is_in_force(schedule: ScheduleConfig) -> bool:
    deployment = schedule.deployment
    return (
        schedule.enabled
        and schedule.paused_at is None
        and deployment.is_live
        and deployment.status == Deployment.Status.ACTIVE
        and (schedule.cron_expression is not None or schedule.interval_seconds is not None)
    )


def _set_next(schedule: ScheduleConfig, occurrence: datetime | None) -> None:
    schedule.next_occurrence_at = occurrence
    schedule.next_fire_at = None if occurrence is None else Timetable.of(schedule).fires_at(occurrence)
    ScheduleConfig.objects.filter(id=schedule.id).update(
        next_occurrence_at=schedule.next_occurrence_at, next_fire_at=schedule.next_fire_at
    )


def _write_entries(schedule: ScheduleConfig) -> None:
    """Through querysets alone: `save()` of beat's models writes every column, and would lose what beat writes."""
    kinds = _kinds_of(schedule)
    names = _names(schedule.id)
    PeriodicTask.objects.filter(name__in=names[len(kinds) :]).delete()
    for name, kind in zip(names, kinds, strict=False):
        fields: dict[str, Any] = {
            "crontab": None,
            "interval": None,
            **kind,
            "task": FIRE_SCHEDULE,
            "args": json.dumps([str(schedule.id)]),
            "enabled": schedule.next_occurrence_at is not None,
            "description": f"Schedule of {schedule.deployment.endpoint_path}; changed there, not here.",
        }
        if not PeriodicTask.objects.filter(name=name).update(**fields):
            PeriodicTask.objects.bulk_create([PeriodicTask(name=name, **fields)])
    PeriodicTasks.update_changed()  # an update through a queryset does not say so by itself


def _names(schedule_id: UUID) -> tuple[str, ...]:
    return (f"schedule {schedule_id}", f"schedule {schedule_id}, day of week")


def _kinds_of(schedule: ScheduleConfig) -> list[dict[str, Any]]:
    """What beat has for it: two entries where either of two days is enough, for Celery's cron wants both to match."""
    if schedule.interval_seconds is not None:
        every = {"every": schedule.interval_seconds, "period": IntervalSchedule.SECONDS}
        return [{"interval": IntervalSchedule.objects.get_or_create(**every)[0]}]
    if schedule.cron_expression is None:
        return []
    timetable = Timetable.of(schedule)
    cron = timetable.cron
    if cron is None:
        return []
    crons = [cron]
    if cron.restricts_both_days and timetable.day_match == "or":
        crons = [_with(cron, day_of_week="*"), _with(cron, day_of_month="*")]
    return [{"crontab": _crontab(each, schedule.timezone)} for each in crons]


def _with(cron: Cron, **fields: str) -> Cron:
    return Cron(**(vars(cron) | fields))


def _crontab(cron: Cron, zone: str) -> CrontabSchedule:
    """The shared row of that expression. Such rows are inserted and never edited: other entries may use them."""
    fields = {
        "minute": cron.minute,
        "hour": cron.hour,
        "day_of_month": cron.day_of_month,
        "month_of_year": cron.month,
        "day_of_week": cron.day_of_week,
        "timezone": ZoneInfo(zone),
    }
    return CrontabSchedule.objects.filter(**fields).first() or CrontabSchedule.objects.create(**fields)
