"""What a schedule will do: its next runs, by the engine that fires them, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from deployments.models import Deployment, ScheduleConfig
from deployments.scheduling.errors import InvalidSchedule
from deployments.scheduling.times import ClockChange, Timetable
from deployments.scheduling.validation import ScheduleFields, examine_times
from deployments.scheduling.words import words_of
from executor.errors import Problem


@dataclass(frozen=True)
class Run:
    """A time to come. `local` is what clocks in the schedule's zone show then, ISO 8601, and `offset` their `+HH:MM`.

    `fires_at` is when it fires, jitter included; None where the jitter cannot be told yet, as the schedule has no id.
    """

    utc: datetime
    local: str
    offset: str
    dst: ClockChange | None
    fires_at: datetime | None


@dataclass(frozen=True)
class Preview:
    """The next runs, the schedule as a sentence, and everything that is wrong, with pointers from the schedule."""

    runs: Sequence[Run]
    words: str | None
    problems: Sequence[Problem]


def preview_fields(fields: ScheduleFields, *, count: int, after: datetime, now: datetime) -> Preview:
    """Of a schedule that is being edited: what it would do if it were saved as it is."""
    canonical, problems = examine_times(fields, now=now)
    try:
        timetable = Timetable.of(canonical)
    except InvalidSchedule as invalid:
        # A form that is still empty has no `enabled` to blame.
        is_empty = fields.cron_expression is None and fields.interval_seconds is None
        return Preview((), None, invalid.problems if is_empty else problems)
    return Preview(_runs(timetable, count, after), words_of(canonical), problems)


def preview_schedule(schedule: ScheduleConfig, *, count: int, after: datetime) -> Preview:
    """Of a deployment's schedule. Where it is not in force, its times are those that it would have, and why is said."""
    _, problems = examine_times(ScheduleFields.of(schedule), now=after)
    problems += _obstacles(schedule)
    try:
        timetable = Timetable.of(schedule)
    except InvalidSchedule as invalid:
        return Preview((), words_of(schedule), problems or invalid.problems)
    return Preview(_runs(timetable, count, after), words_of(schedule), problems)


def _obstacles(schedule: ScheduleConfig) -> list[Problem]:
    """What keeps these times from coming."""
    found = []
    if not schedule.enabled:
        found.append(Problem("/enabled", "disabled", "The schedule is off. Set enabled to true to have it run."))
    if schedule.paused_at is not None:
        reason = f" ({schedule.paused_reason.rstrip('.')})" if schedule.paused_reason else ""
        sentence = f"The schedule was paused by {schedule.paused_by}{reason}. Resume it to have it run."
        found.append(Problem("", "paused", sentence))
    if schedule.deployment.status != Deployment.Status.ACTIVE:
        sentence = f"The deployment is {schedule.deployment.status}. Set it active to have the schedule run."
        found.append(Problem("", f"deployment_{schedule.deployment.status}", sentence))
    return found


def _runs(timetable: Timetable, count: int, after: datetime) -> Sequence[Run]:
    is_drawn = not timetable.jitter_seconds or timetable.seed is not None
    runs = []
    for occurrence in islice(timetable.occurrences_after(after), count):
        local = occurrence.at.astimezone(timetable.zone).isoformat()
        # An offset has seconds where a zone had such, more than a century ago: so it is cut off by its sign.
        clock, sign, offset = local.rpartition("+") if "+" in local else local.rpartition("-")
        fires_at = timetable.fires_at(occurrence.at) if is_drawn else None
        runs.append(Run(occurrence.at, clock, sign + offset, occurrence.clock_change, fires_at))
    return runs
