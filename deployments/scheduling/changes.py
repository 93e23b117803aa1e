"""Pausing, resuming and running a schedule by hand: one function each."""

import logging
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from access.audit import Action, record_action
from deployments.executions.start import start_execution
from deployments.input_schemas import input_schema_of
from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.scheduling.entries import schedule_deployment
from deployments.scheduling.errors import InvalidSchedule, ScheduleGone
from deployments.scheduling.firing import fire_before_change, fire_due
from deployments.scheduling.policies import MAX_CAUGHT_UP
from deployments.scheduling.times import Timetable
from deployments.scheduling.validation import input_problems

log = logging.getLogger(__name__)

_MICROSECOND: Final = timedelta(microseconds=1)


def pause_schedule(*, schedule: ScheduleConfig, by: str, reason: str) -> ScheduleConfig:
    """From now on it does not fire; what came due before still does. Who paused it first, stays.

    Raises `ScheduleGone`.
    """
    with transaction.atomic():
        _lock(schedule)
        now = fire_before_change(schedule_id=schedule.id)
        # Somebody may have been quicker: a row that is paused already is not touched.
        paused = ScheduleConfig.objects.filter(id=schedule.id, paused_at__isnull=True).update(
            paused_at=now, paused_by=by, paused_reason=reason, updated_at=now
        )
        current = _read(schedule.id)
        if paused:
            schedule_deployment(schedule=current, after=now)
            _record("schedule.paused", current, by, {"reason": reason})
            log.info("Schedule %s was paused by %s.", schedule.id, by)
    return current


def resume_schedule(*, schedule: ScheduleConfig, by: str, catch_up: str | None) -> ScheduleConfig:
    """It fires again; one that is not paused stays as it is.

    `catch_up` says what becomes of the times that the pause held back, within the schedule's catch-up window: `latest`
    runs the last one, `all` every one (100 at most). With `none`, or without a choice, it goes on with the next time.

    Raises `ScheduleGone`, and `InvalidSchedule` where its times cannot be told any more.
    """
    with transaction.atomic():
        _lock(schedule)
        now, before = timezone.now(), _read(schedule.id)
        resumed = ScheduleConfig.objects.filter(id=schedule.id, paused_at=before.paused_at, paused_at__isnull=False)
        if not resumed.update(paused_at=None, paused_by="", paused_reason="", updated_at=now):
            return _read(schedule.id)
        current = _read(schedule.id)
        # An edit meanwhile begins anew: the times before it are no longer the schedule's.
        since = max(before.paused_at or now, before.in_force_since or now)
        held_back = _held_back(current, since=since, now=now, catch_up=catch_up)
        schedule_deployment(schedule=current, after=held_back[0] - _MICROSECOND if held_back else now)
        if held_back:
            _fire_held_back(current, catch_up)
        _record("schedule.resumed", current, by, {"catch_up": catch_up})
    log.info("Schedule %s was resumed by %s.", schedule.id, by)
    return _read(schedule.id)


def run_schedule_now(*, schedule: ScheduleConfig, by: str) -> ExecutionLog:
    """Start an execution with the schedule's input, paused or not. The schedule itself stays where it is.

    Raises `InvalidSchedule` when the deployed version does not take the input, and `ConcurrencyLimitReached`.
    """
    deployment = schedule.deployment
    if problems := input_problems(schedule.input_data, input_schema_of(deployment.version_id)):
        raise InvalidSchedule(problems)
    return start_execution(
        deployment=deployment,
        version=deployment.version,
        team_id=deployment.team_id,
        input_data=schedule.input_data,
        trigger_type=ExecutionLog.Trigger.MANUAL,
        triggered_by=by,
        live_text=True,
    ).execution


def _held_back(schedule: ScheduleConfig, *, since: datetime, now: datetime, catch_up: str | None) -> list[datetime]:
    """The times of the pause that are to run after all, in order."""
    count = {"latest": 1, "all": MAX_CAUGHT_UP}.get(catch_up or "", 0)
    if not count:
        return []
    since = max(since, now - timedelta(seconds=schedule.catch_up_window_seconds))
    if schedule.interval_seconds is not None:  # of a second's interval a week has 600,000
        since = max(since, now - timedelta(seconds=schedule.interval_seconds * (count + 1)))
    times = takewhile(lambda time: time <= now, Timetable.of(schedule).after(since))
    return list(deque(times, maxlen=count))


def _fire_held_back(schedule: ScheduleConfig, catch_up: str | None) -> None:
    """Fire what is due with that choice instead of the schedule's own. Nobody sees the row in between: it is locked."""
    row = ScheduleConfig.objects.filter(id=schedule.id)
    row.update(catch_up=catch_up)
    fire_due(schedule_id=schedule.id)
    row.update(catch_up=schedule.catch_up)


def _record(action: Action, schedule: ScheduleConfig, by: str, details: Mapping[str, Any]) -> None:
    """Of the transaction that does it."""
    deployment = schedule.deployment
    on = ("schedule", schedule.id)
    record_action(action, by=by, team_id=deployment.team_id, on=on, label=deployment.endpoint_path, details=details)


def _lock(schedule: ScheduleConfig) -> None:
    """The deployment's row, before its schedule's: the order in which everyone takes these locks."""
    live = Deployment.objects.live().filter(id=schedule.deployment_id)
    if not live.select_for_update(no_key=True, of=("self",)).exists():
        raise ScheduleGone


def _read(schedule_id: UUID) -> ScheduleConfig:
    schedule = ScheduleConfig.objects.select_related("deployment").filter(id=schedule_id).first()
    if schedule is None:
        raise ScheduleGone
    return schedule
