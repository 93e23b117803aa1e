"""Firing: the executions of all schedules that are due, inserted together. Any number of beats may do it at once.

A schedule's row is locked while it fires, and every time has one row under a unique constraint, so that a time fires
once whatever beats there are, and whenever one of them dies.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice
from math import inf
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, Min, Q
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from deployments.executions import lifecycle
from deployments.executions.occurrences import new_occurrence
from deployments.executions.publisher import publisher
from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.prepared_statements import PreparedUpdate
from deployments.scheduling.entries import names_of_entries
from deployments.scheduling.failing import is_failing, pause_broken, pause_when_failing
from deployments.scheduling.followers import cancel_previous
from deployments.scheduling.policies import MAX_CAUGHT_UP, CatchUp, Decision, Open, Overlap, decide
from deployments.scheduling.times import Timetable

log = logging.getLogger(__name__)

SCHEDULES_AT_ONCE = 250
#: A second's schedule that nobody fired for a week has 600,000 times: so many are seen to at once.
TIMES_AT_ONCE = 2_000
#: A transaction takes no more schedules once it has so many rows.
ROWS_AT_ONCE = 5_000
UNFINISHED = (ExecutionLog.Status.QUEUED, ExecutionLog.Status.RUNNING)

_ADVANCE = PreparedUpdate(
    ScheduleConfig,
    lambda slot: ScheduleConfig.objects.filter(id=slot("id")),
    lambda slot: {"next_occurrence_at": slot("next_occurrence_at"), "next_fire_at": slot("next_fire_at")},
)
_SHOW_RUN = PreparedUpdate(
    PeriodicTask,
    lambda slot: PeriodicTask.objects.filter(name=slot("name")),
    lambda slot: {"last_run_at": slot("last_run_at"), "total_run_count": F("total_run_count") + 1},
)


@dataclass
class _Batch:
    """What one transaction does, over all schedules that are due."""

    executions: list[ExecutionLog] = field(default_factory=list)
    advanced: list[dict[str, Any]] = field(default_factory=list)
    #: Schedules whose earlier executions are to be cancelled.
    cancelling: list[UUID] = field(default_factory=list)
    failing: list[UUID] = field(default_factory=list)
    broken: list[tuple[UUID, str]] = field(default_factory=list)


def fire_due(*, schedule_id: UUID | None = None) -> int:
    """Fire every time that is due, of one schedule if it is named; how many executions that made, skipped ones too.

    Inside a transaction of the caller's it is part of that. What another beat is just firing is left to it.
    """
    fired = 0
    while True:
        count, was_full = _fire_some(schedule_id)
        fired += count
        if not was_full:
            return fired


def seconds_until_next() -> float | None:
    """Until the next schedule fires, 0 or less when one is due; None when none is in force."""
    soonest: datetime | None = ScheduleConfig.objects.aggregate(soonest=Min("next_fire_at"))["soonest"]
    return None if soonest is None else (soonest - timezone.now()).total_seconds()


def _fire_some(schedule_id: UUID | None) -> tuple[int, bool]:
    with transaction.atomic():
        now = timezone.now()
        schedules = _lock_due(now, schedule_id)
        batch = _plan(schedules, now)
        _leave_out_known(batch)
        lifecycle.accept_all(batch.executions)
        _ADVANCE.run_each(batch.advanced)
        _SHOW_RUN.run_each(
            {"name": name, "last_run_at": now} for row in batch.advanced for name in names_of_entries(row["id"])[:1]
        )
        transaction.on_commit(lambda: _follow_up(batch))
    return len(batch.executions), len(schedules) == SCHEDULES_AT_ONCE and bool(batch.advanced)


def _lock_due(now: datetime, schedule_id: UUID | None) -> list[ScheduleConfig]:
    due = ScheduleConfig.objects.filter(
        next_fire_at__lte=now, deployment__deleted_at__isnull=True, deployment__status=Deployment.Status.ACTIVE
    )
    if schedule_id is not None:
        due = due.filter(id=schedule_id)
    locked = due.select_for_update(skip_locked=True, of=("self",)).select_related("deployment")
    return list(locked.order_by("next_fire_at", "id")[:SCHEDULES_AT_ONCE])


def _plan(schedules: Sequence[ScheduleConfig], now: datetime) -> _Batch:
    batch = _Batch()
    open_runs, places = _open_runs(schedules), _free_places(schedules)
    for schedule in schedules:
        if len(batch.executions) >= ROWS_AT_ONCE:
            break
        if schedule.id not in places:
            continue  # its deployment is being changed, and counts no more: the next tick fires it
        if is_failing(schedule):  # as a rule the worker that saw the last failure has paused it
            batch.failing.append(schedule.id)
            continue
        try:
            timetable = Timetable.of(schedule)
            due, following = _due_times(schedule, timetable, now)
        except ValueError as error:  # a zone that this machine does not know any more, for one
            batch.broken.append((schedule.id, str(error)))
            batch.advanced.append({"id": schedule.id, "next_occurrence_at": None, "next_fire_at": None})
            continue
        decisions = decide(
            due,
            now=now,
            catch_up=cast(CatchUp, schedule.catch_up),
            window=timedelta(seconds=schedule.catch_up_window_seconds),
            overlap=cast(Overlap, schedule.overlap),
            open_runs=open_runs.get(schedule.id, Open()),
            take=due.index(following) if following in due else None,
        )
        decisions = list(_within(places[schedule.id], decisions))
        batch.executions += (new_occurrence(schedule=schedule, decision=decision, now=now) for decision in decisions)
        if any(decision.cancels_previous for decision in decisions):
            batch.cancelling.append(schedule.id)
        fires_at = None if following is None else timetable.fires_at(following)
        batch.advanced.append({"id": schedule.id, "next_occurrence_at": following, "next_fire_at": fires_at})
    return batch


def _due_times(schedule: ScheduleConfig, timetable: Timetable, now: datetime) -> tuple[list[datetime], datetime | None]:
    """The times that are due, and the one to go on with: the first that is not, or the first that is left for later."""
    first = schedule.next_occurrence_at
    if first is None:
        raise ValueError("This schedule has no next time.")
    times: Iterator[datetime] = chain((first,), timetable.after(first))
    due: list[datetime] = []
    for occurrence in islice(times, TIMES_AT_ONCE + MAX_CAUGHT_UP):
        if timetable.fires_at(occurrence) > now:
            return due, occurrence
        due.append(occurrence)
    more = next(times, None)
    if len(due) == TIMES_AT_ONCE + MAX_CAUGHT_UP and more is not None:
        return due, due[TIMES_AT_ONCE]
    return due, more


def _open_runs(schedules: Sequence[ScheduleConfig]) -> dict[UUID, Open]:
    """The executions of each that have not ended."""
    unfinished = ExecutionLog.objects.filter(schedule__in=schedules, status__in=UNFINISHED)
    counts = (
        unfinished.order_by()
        .values_list("schedule_id")
        .annotate(
            waiting=Count("id", filter=Q(waits_for_previous=True)),
            running=Count("id", filter=Q(waits_for_previous=False)),
        )
    )
    return {schedule_id: Open(running, waiting) for schedule_id, waiting, running in counts if schedule_id is not None}


def _free_places(schedules: Sequence[ScheduleConfig]) -> dict[UUID, float]:
    """How many executions each may start now; without those whose deployment somebody else holds.

    A deployment that rejects what is too much counts under its row's lock. Whoever changes it holds that lock, and
    waits for the schedule's, which is ours: so we must not wait for it.
    """
    rejecting = {
        schedule.deployment_id: schedule.id
        for schedule in schedules
        if schedule.deployment.max_concurrent is not None
        and schedule.deployment.when_full == Deployment.WhenFull.REJECT
    }
    places = {schedule.id: inf for schedule in schedules if schedule.deployment_id not in rejecting}
    if not rejecting:
        return places
    locked = Deployment.objects.filter(id__in=rejecting).select_for_update(no_key=True, skip_locked=True, of=("self",))
    for deployment_id, limit in locked.order_by("id").values_list("id", "max_concurrent"):
        taken = ExecutionLog.objects.filter(deployment_id=deployment_id, status__in=UNFINISHED).count()
        places[rejecting[deployment_id]] = inf if limit is None else max(0, limit - taken)
    return places


def _within(places: float, decisions: Sequence[Decision]) -> Iterator[Decision]:
    for decision in decisions:
        if decision.skipped is None and places <= 0:
            yield Decision(decision.occurrence, skipped="limit")
            continue
        places -= decision.skipped is None
        yield decision


def _leave_out_known(batch: _Batch) -> None:
    """A clock that was set back, or a stock beat, may have brought a time here that has its row already."""
    if not batch.executions:
        return
    earliest = min(execution.scheduled_for for execution in batch.executions if execution.scheduled_for is not None)
    known = set(
        ExecutionLog.objects.filter(
            schedule_id__in={execution.schedule_id for execution in batch.executions}, scheduled_for__gte=earliest
        ).values_list("schedule_id", "scheduled_for")
    )
    batch.executions = [each for each in batch.executions if (each.schedule_id, each.scheduled_for) not in known]


def _follow_up(batch: _Batch) -> None:
    """After the commit. What is lost of it is made up for: by the dispatch sweep, the next sweep, the next tick."""
    for execution in batch.executions:
        if execution.status == ExecutionLog.Status.QUEUED and not execution.waits_for_previous:
            publisher.publish(execution.id, execution.attempt)
    for schedule_id in batch.cancelling:
        cancel_previous(schedule_id=schedule_id)
    for schedule_id in batch.failing:
        pause_when_failing(schedule_id=schedule_id)
    for schedule_id, reason in batch.broken:
        pause_broken(schedule_id=schedule_id, reason=reason)
