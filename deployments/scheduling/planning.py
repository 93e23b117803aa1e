"""What one firing does: the executions of the schedules that are due, and where each goes on. It writes nothing."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice
from math import inf
from typing import Any, cast
from uuid import UUID

from django.db.models import Count, Q

from deployments.executions.occurrences import new_occurrence
from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.models.execution import UNFINISHED_STATUSES
from deployments.scheduling.entries import is_in_force
from deployments.scheduling.errors import InvalidSchedule
from deployments.scheduling.failing import is_failing
from deployments.scheduling.policies import MAX_CAUGHT_UP, CatchUp, Decision, Due, Open, Overlap, decide
from deployments.scheduling.times import Timetable
from deployments.telemetry import ObservedFiring

log = logging.getLogger(__name__)

#: A second's schedule that nobody fired for a week has 600,000 times: so many are seen to at once.
TIMES_AT_ONCE = 2_000
#: A transaction takes no more schedules once it has so many rows.
ROWS_AT_ONCE = 5_000
BROKEN_INSIDE = "An internal error; the server's log has the details."


@dataclass
class Batch:
    """What one transaction does, over all schedules that are due."""

    now: datetime
    executions: list[ExecutionLog] = field(default_factory=list)
    #: What is told of those that are to run, by their ids.
    firings: dict[UUID, ObservedFiring] = field(default_factory=dict)
    #: Each schedule's `id`, and its new `next_occurrence_at` and `next_fire_at`.
    advanced: list[dict[str, Any]] = field(default_factory=list)
    #: Schedules whose earlier executions are to be cancelled.
    cancelling: list[UUID] = field(default_factory=list)
    #: Schedules that are to pause themselves. They are due until they do.
    failing: list[UUID] = field(default_factory=list)
    broken: list[tuple[UUID, str]] = field(default_factory=list)
    #: How late the latest of all these times is, in seconds.
    lateness: float = 0.0


def plan(schedules: Sequence[ScheduleConfig], now: datetime, *, catches_up: bool = True) -> Batch:
    """What is to be done for these schedules, which are locked and come with their deployments.

    Without `catches_up` what was missed is skipped, whatever the schedule's policy. A schedule for which nothing can be
    said holds up no other. Raises what the database does.
    """
    batch = Batch(now)
    open_runs, places = _open_runs(schedules), _free_places(schedules)
    for schedule in schedules:
        if len(batch.executions) >= ROWS_AT_ONCE:
            break
        if not is_in_force(schedule):
            # Whoever changed it went past `entries`, which alone sets when a schedule fires.
            log.warning("Schedule %s was due and is not in force; it fires no more.", schedule.id)
            batch.advanced.append(_next(schedule, None, None))
        elif schedule.id not in places:
            continue  # its deployment is being changed, and counts no more: the next tick fires it
        elif is_failing(schedule):  # as a rule the worker that saw the last failure has paused it
            batch.failing.append(schedule.id)
        else:
            runs = open_runs.get(schedule.id, Open())
            _plan_one(batch, schedule, open_runs=runs, places=places[schedule.id], catches_up=catches_up)
    return batch


def _plan_one(batch: Batch, schedule: ScheduleConfig, *, open_runs: Open, places: float, catches_up: bool) -> None:
    try:
        timetable = Timetable.of(schedule)
        due, following = _due_times(schedule, timetable, batch.now)
        decisions = decide(
            due,
            now=batch.now,
            catch_up=cast(CatchUp, schedule.catch_up) if catches_up else "none",
            window=timedelta(seconds=schedule.catch_up_window_seconds),
            overlap=cast(Overlap, schedule.overlap),
            open_runs=open_runs,
            take=next((place for place, each in enumerate(due) if each.occurrence == following), None),
        )
        decisions = list(_within(places, decisions))
        executions = [new_occurrence(schedule=schedule, decision=decision, now=batch.now) for decision in decisions]
        fires_at = None if following is None else timetable.fires_at(following)
    except InvalidSchedule as error:  # a zone that this machine does not know any more, for one
        batch.broken.append((schedule.id, str(error)))
        return
    except Exception:
        log.exception("Schedule %s cannot be evaluated", schedule.id)
        batch.broken.append((schedule.id, BROKEN_INSIDE))
        return
    batch.executions += executions
    for execution, each in zip(executions, due, strict=False):  # the last of `due` may be left for later
        if not execution.reason:
            batch.firings[execution.id] = _describe(schedule, execution, each)
    batch.advanced.append(_next(schedule, following, fires_at))
    if any(decision.cancels_previous for decision in decisions):
        batch.cancelling.append(schedule.id)
    if due:
        batch.lateness = max(batch.lateness, (batch.now - due[0].fires_at).total_seconds())


def _describe(schedule: ScheduleConfig, execution: ExecutionLog, due: Due) -> ObservedFiring:
    return ObservedFiring(
        execution.id,
        schedule.id,
        schedule.deployment_id,
        schedule.deployment.endpoint_path,
        scheduled_for=due.occurrence,
        fires_at=due.fires_at,
    )


def _next(schedule: ScheduleConfig, occurrence: datetime | None, fires_at: datetime | None) -> dict[str, Any]:
    return {"id": schedule.id, "next_occurrence_at": occurrence, "next_fire_at": fires_at}


def _due_times(schedule: ScheduleConfig, timetable: Timetable, now: datetime) -> tuple[list[Due], datetime | None]:
    """The times that are due, and the one to go on with: the first that is not, or the first that is left for later."""
    first = schedule.next_occurrence_at
    if first is None:
        return [], None
    times: Iterator[datetime] = chain((first,), timetable.after(first))
    due: list[Due] = []
    for occurrence in islice(times, TIMES_AT_ONCE + MAX_CAUGHT_UP):
        fires_at = timetable.fires_at(occurrence)
        if fires_at > now:
            return due, occurrence
        due.append(Due(occurrence, fires_at))
    more = next(times, None)
    if len(due) == TIMES_AT_ONCE + MAX_CAUGHT_UP and more is not None:
        return due, due[TIMES_AT_ONCE].occurrence
    return due, more


def _open_runs(schedules: Sequence[ScheduleConfig]) -> dict[UUID, Open]:
    """The executions of each that have not ended."""
    ids = [schedule.id for schedule in schedules]
    unfinished = ExecutionLog.objects.filter(schedule_id__in=ids, status__in=UNFINISHED_STATUSES)
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
    limits = dict(locked.order_by("id").values_list("id", "max_concurrent"))
    # What waits for the one before it takes that one's place.
    unfinished = ExecutionLog.objects.filter(
        deployment__in=limits, status__in=UNFINISHED_STATUSES, waits_for_previous=False
    )
    taken = dict(unfinished.order_by().values_list("deployment_id").annotate(taken=Count("id")))
    for deployment_id, limit in limits.items():
        free = inf if limit is None else max(0, limit - taken.get(deployment_id, 0))
        places[rejecting[deployment_id]] = free
    return places


def _within(places: float, decisions: Sequence[Decision]) -> Iterator[Decision]:
    for decision in decisions:
        starts = decision.skipped is None and not decision.waits
        if starts and places <= 0:
            yield Decision(decision.occurrence, skipped="limit")
            continue
        places -= starts
        yield decision
