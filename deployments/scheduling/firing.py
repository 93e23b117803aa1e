"""Firing: the executions of all schedules that are due, inserted together. Any number of beats may do it at once.

A schedule's row is locked while it fires, and every time has one row under a unique constraint, so that a time fires
once whatever beats there are, and whenever one of them dies.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import DataError, IntegrityError, transaction
from django.db.models import Min
from django.utils import timezone

from deployments.executions import lifecycle
from deployments.executions.publisher import publisher
from deployments.models import ExecutionLog, ScheduleConfig
from deployments.prepared_statements import PreparedUpdate, Values
from deployments.scheduling.entries import show_run, turn_entries_off
from deployments.scheduling.failing import pause_broken, pause_when_failing
from deployments.scheduling.followers import cancel_previous
from deployments.scheduling.planning import BROKEN_INSIDE, Batch, plan
from deployments.telemetry import Firings

log = logging.getLogger(__name__)

#: Those of one transaction: with more the first of many wait for the last, with fewer all of them are later. The median
#: of a hundred that are due together is in the first.
SCHEDULES_AT_ONCE = 52
#: So many schedules that go on alike are written at once; fewer are quicker written by a statement that is ready.
ALIKE = 4
#: What fires later than this is worth a line in the log.
LATE_SECONDS = 3.0

_ADVANCE = PreparedUpdate(
    ScheduleConfig,
    lambda slot: ScheduleConfig.objects.filter(id=slot("id")),
    lambda slot: {"next_occurrence_at": slot("next_occurrence_at"), "next_fire_at": slot("next_fire_at")},
)


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


def fire_before_change(*, schedule_id: UUID) -> datetime:
    """Lock a schedule that the caller's transaction goes on to change, and fire what came before; the moment of it.

    After that moment the schedule is to be in force as it is changed: so each time belongs to one or the other. A time
    that was missed, because no beat ran, is skipped: the change starts nothing that is long past.
    """
    # It waits for a beat that is at it: should that one die, what it was firing is still ours to fire.
    ids = list(ScheduleConfig.objects.filter(id=schedule_id).select_for_update().values_list("id", flat=True))
    now = timezone.now()
    due = [schedule for schedule in _read(ids) if schedule.next_fire_at is not None and schedule.next_fire_at <= now]
    try:
        with transaction.atomic():
            batch = _fire(due, now, catches_up=False)
    except (IntegrityError, DataError):
        log.exception("What was due of schedule %s before it was changed cannot be stored", schedule_id)
        return now
    for row in batch.advanced:
        if row["next_fire_at"] is not None and row["next_fire_at"] <= now:
            sentence = "Schedule %s was changed after no beat had run for long: its times from %s to %s have no rows."
            log.warning(sentence, schedule_id, row["next_occurrence_at"], now)
    return now


def seconds_until_next() -> float | None:
    """Until the next schedule fires, 0 or less when one is due; None when none is in force."""
    soonest: datetime | None = ScheduleConfig.objects.aggregate(soonest=Min("next_fire_at"))["soonest"]
    return None if soonest is None else (soonest - timezone.now()).total_seconds()


def _fire_some(schedule_id: UUID | None, *, knows_all: bool = True) -> tuple[int, bool]:
    """How many executions that made, and whether more schedules may be due.

    Who `knows_all` takes it that no time has its row already, which holds but for a clock that was set back, and a
    stock beat that has run. Where it does not hold, nothing is stored, and each schedule is fired by itself.
    """
    locked: list[UUID] = []
    try:
        with transaction.atomic():
            now = timezone.now()
            locked = _lock_due(now, schedule_id)
            batch = _fire(_read(locked), now, knows_all=knows_all)
    except (IntegrityError, DataError) as error:
        return _fire_one_by_one(locked, error, gives_up=not knows_all), False
    _log_lateness(batch)
    return len(batch.executions), len(locked) == SCHEDULES_AT_ONCE and bool(batch.advanced)


def _fire(
    schedules: Sequence[ScheduleConfig], now: datetime, *, catches_up: bool = True, knows_all: bool = False
) -> Batch:
    """Within a transaction that holds the locks of these schedules."""
    batch = plan(schedules, now, catches_up=catches_up)
    if not knows_all:
        _leave_out_known(batch)
    firings = _observe(batch)
    lifecycle.accept_all(batch.executions)
    _advance(batch.advanced)
    show_run([row["id"] for row in batch.advanced], now)
    turn_entries_off([row["id"] for row in batch.advanced if row["next_occurrence_at"] is None])
    # What goes wrong after the commit undoes nothing, and is nobody's error: it is made up for.
    transaction.on_commit(partial(_follow_up, batch, firings), robust=True)
    return batch


def _observe(batch: Batch) -> Firings:
    """Tell of each time that is to run. Each has a trace of its own: what fires together is of many teams."""
    firings = Firings()
    for execution in batch.executions:
        if (firing := batch.firings.get(execution.id)) is not None:
            execution.traceparent = firings.add(firing)
    return firings


def _advance(rows: Sequence[Values]) -> None:
    """Write where each schedule goes on. Those of one tick mostly go on together: one statement does for them."""
    alike: dict[tuple[Any, Any], list[Values]] = {}
    for row in rows:
        alike.setdefault((row["next_occurrence_at"], row["next_fire_at"]), []).append(row)
    few: list[Values] = []
    for (occurrence, fires_at), same in alike.items():
        if len(same) < ALIKE:
            few += same
        else:
            schedules = ScheduleConfig.objects.filter(id__in=[row["id"] for row in same])
            schedules.update(next_occurrence_at=occurrence, next_fire_at=fires_at)
    _ADVANCE.run_each(few)


def _fire_one_by_one(schedule_ids: Sequence[UUID], error: Exception, *, gives_up: bool) -> int:
    """When what they make together cannot be stored: the one whose fault it is pauses itself, the others fire."""
    if gives_up:
        for schedule_id in schedule_ids:
            log.error("What schedule %s makes cannot be stored: %s", schedule_id, error)
            pause_broken(schedule_id=schedule_id, reason=BROKEN_INSIDE)
        return 0
    return sum(_fire_some(schedule_id, knows_all=False)[0] for schedule_id in schedule_ids)


def _lock_due(now: datetime, schedule_id: UUID | None) -> list[UUID]:
    due = ScheduleConfig.objects.filter(next_fire_at__lte=now)
    if schedule_id is not None:
        due = due.filter(id=schedule_id)
    locked = due.select_for_update(skip_locked=True).order_by("next_fire_at", "id").values_list("id", flat=True)
    return list(locked[:SCHEDULES_AT_ONCE])


def _read(schedule_ids: Sequence[UUID]) -> list[ScheduleConfig]:
    """The schedules and their deployments as they are now: a change that the locks have waited for is seen whole."""
    if not schedule_ids:
        return []
    rows = ScheduleConfig.objects.filter(id__in=schedule_ids).select_related("deployment")
    return list(rows.order_by("next_fire_at", "id"))


def _leave_out_known(batch: Batch) -> None:
    """A clock that was set back, or a stock beat, may have brought a time here that has its row already."""
    if not batch.executions:
        return
    known = set(
        ExecutionLog.objects.filter(
            schedule_id__in={execution.schedule_id for execution in batch.executions},
            scheduled_for__in={execution.scheduled_for for execution in batch.executions},
        ).values_list("schedule_id", "scheduled_for")
    )
    batch.executions = [each for each in batch.executions if (each.schedule_id, each.scheduled_for) not in known]


def _log_lateness(batch: Batch) -> None:
    if batch.lateness > LATE_SECONDS:
        log.warning(
            "%d scheduled times of %d schedules were fired late, the first by %.1f s. Was no beat running?",
            len(batch.executions),
            len(batch.advanced),
            batch.lateness,
        )


def _follow_up(batch: Batch, firings: Firings) -> None:
    """After the commit. What is lost of it is made up for: by the dispatch sweep, the next sweep, the next tick."""
    stored_at = timezone.now()
    for execution in batch.executions:
        if execution.status == ExecutionLog.Status.QUEUED and not execution.waits_for_previous:
            publisher.publish(execution.id, execution.attempt, traceparent=execution.traceparent)
    firings.end(stored_at)
    for schedule_id in batch.cancelling:
        cancel_previous(schedule_id=schedule_id)
    for schedule_id in batch.failing:
        pause_when_failing(schedule_id=schedule_id)
    for schedule_id, reason in batch.broken:
        pause_broken(schedule_id=schedule_id, reason=reason)
