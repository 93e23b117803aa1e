"""When a schedule fires next, and its projection into beat's tables. Nothing else writes either.

`ScheduleConfig.next_occurrence_at` is what fires. Each schedule also stands in django-celery-beat's tables, so that
the admin shows it there and a stock beat would still run it; our own beat leaves those entries out.
"""

import json
import logging
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from deployments.models import Deployment, ScheduleConfig
from deployments.scheduling.cron import Cron
from deployments.scheduling.errors import InvalidSchedule
from deployments.scheduling.times import Timetable

log = logging.getLogger(__name__)

#: The task of our entries.
FIRE_SCHEDULE = "deployments.fire_schedule"


def schedule_deployment(*, schedule: ScheduleConfig, after: datetime) -> None:
    """Have the schedule fire at its first time after `after`, if it is in force at all; to be called in a transaction.

    It is in force while it is enabled and not paused, and its deployment is active. Raises what `Timetable.of` does.
    """
    occurrence = next(Timetable.of(schedule).after(after), None) if is_in_force(schedule) else None
    _set_next(schedule, occurrence)
    schedule.in_force_since = after
    ScheduleConfig.objects.filter(id=schedule.id).update(in_force_since=after)
    _write_entries(schedule)


def unschedule_deployment(*, schedule: ScheduleConfig) -> None:
    """Have the schedule fire no more, and take it out of beat's tables."""
    _set_next(schedule, None)
    PeriodicTask.objects.filter(name__in=names_of_entries(schedule.id)).delete()


def is_in_force(schedule: ScheduleConfig) -> bool:
    """Whether the schedule, which comes with its deployment, is to fire as things stand."""
    deployment = schedule.deployment
    return (
        schedule.enabled
        and schedule.paused_at is None
        and deployment.is_live
        and deployment.status == Deployment.Status.ACTIVE
        and (schedule.cron_expression is not None or schedule.interval_seconds is not None)
    )


def names_of_entries(schedule_id: UUID) -> tuple[str, ...]:
    """The names that a schedule's entries may have in beat's tables, the first of which each of them has."""
    return (f"schedule {schedule_id}", f"schedule {schedule_id}, day of week")


def schedule_id_of(entry: PeriodicTask) -> UUID | None:
    """The id of the schedule that the entry stands for; None of an entry that is not ours."""
    if entry.task != FIRE_SCHEDULE:
        return None
    try:
        [schedule_id] = json.loads(entry.args)
        return UUID(schedule_id)
    except (ValueError, TypeError, AttributeError):  # somebody has changed it; it is written again soon
        return None


def show_run(schedule_ids: Collection[UUID], at: datetime) -> None:
    """Show in beat's tables that these schedules fired at that moment; in the transaction in which they do."""
    names = [names_of_entries(schedule_id)[0] for schedule_id in schedule_ids]
    PeriodicTask.objects.filter(name__in=names).update(last_run_at=at, total_run_count=F("total_run_count") + 1)


def turn_entries_off(schedule_ids: Collection[UUID]) -> None:
    """Show in beat's tables that these schedules have no next time any more; in the transaction that says so."""
    if not schedule_ids:
        return
    names = [name for schedule_id in schedule_ids for name in names_of_entries(schedule_id)]
    PeriodicTask.objects.filter(name__in=names).update(enabled=False)
    PeriodicTasks.update_changed()


def mend_entries() -> int:
    """Write again what does not agree: beat's tables where somebody has changed them, and next times that are missing.

    How many schedules and entries that were. Nothing of ours leads there, but writing to the tables directly does, and
    so do schedules that were stored before they could fire.
    """
    shown = dict(PeriodicTask.objects.filter(task=FIRE_SCHEDULE).values_list("name", "enabled"))
    has_kind = Q(cron_expression__isnull=False) | Q(interval_seconds__isnull=False)
    live = ScheduleConfig.objects.filter(has_kind, deployment__deleted_at__isnull=True)
    wrong = set(_without_next_time(live))
    for schedule_id, occurrence in live.values_list("id", "next_occurrence_at"):
        name, *more = names_of_entries(schedule_id)
        if shown.pop(name, None) is not (occurrence is not None):
            wrong.add(schedule_id)
        for each in more:
            shown.pop(each, None)
    strays: int = PeriodicTask.objects.filter(name__in=shown).delete()[0]
    mended = sum(_mend(schedule_id) for schedule_id in sorted(wrong))
    if strays or mended:
        log.warning("Beat's tables did not show the schedules as they are: mended %d, removed %d.", mended, strays)
    return strays + mended


def _without_next_time(live: "QuerySet[ScheduleConfig]") -> list[UUID]:
    """Of the schedules those that should be in force and fire never."""
    to_come = Q(end_at__isnull=True) | Q(end_at__gt=timezone.now())
    in_force = live.filter(to_come, enabled=True, paused_at__isnull=True, deployment__status=Deployment.Status.ACTIVE)
    return list(in_force.filter(next_occurrence_at__isnull=True).values_list("id", flat=True))


def _mend(schedule_id: UUID) -> bool:
    with transaction.atomic():
        # The deployment first, then its schedule: the order in which everyone takes these locks.
        deployments = Deployment.objects.live().filter(schedule__id=schedule_id)
        if deployments.select_for_update(no_key=True, of=("self",)).first() is None:
            return False
        locked = ScheduleConfig.objects.select_for_update(of=("self",)).select_related("deployment")
        schedule = locked.filter(id=schedule_id).first()
        if schedule is None:
            return False
        try:
            if schedule.next_occurrence_at is None and is_in_force(schedule):
                schedule_deployment(schedule=schedule, after=timezone.now())
            else:
                _write_entries(schedule)
        except InvalidSchedule as error:
            log.warning("Schedule %s does not fire: %s", schedule_id, error)
            return False
    return True


def _set_next(schedule: ScheduleConfig, occurrence: datetime | None) -> None:
    schedule.next_occurrence_at = occurrence
    schedule.next_fire_at = None if occurrence is None else Timetable.of(schedule).fires_at(occurrence)
    ScheduleConfig.objects.filter(id=schedule.id).update(
        next_occurrence_at=schedule.next_occurrence_at, next_fire_at=schedule.next_fire_at
    )


def _write_entries(schedule: ScheduleConfig) -> None:
    """Through querysets alone: `save()` of beat's models writes every column, and would lose what beat writes."""
    names = names_of_entries(schedule.id)
    try:
        kinds = _kinds_of(schedule)
    except InvalidSchedule:  # it has paused itself for that: what stands there stays, and is off
        turn_entries_off([schedule.id])
        return
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


def _kinds_of(schedule: ScheduleConfig) -> list[dict[str, Any]]:
    """What beat has for it: two entries where either of two days is enough, for Celery's cron wants both to match."""
    if schedule.interval_seconds is not None:
        every = {"every": schedule.interval_seconds, "period": IntervalSchedule.SECONDS}
        # As below: nothing keeps two of the same from being there.
        same = IntervalSchedule.objects.filter(**every).first() or IntervalSchedule.objects.create(**every)
        return [{"interval": same}]
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
