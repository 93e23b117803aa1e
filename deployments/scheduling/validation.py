"""What a schedule has to satisfy before it is stored: every problem at once, each with its place."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import Literal
from zoneinfo import available_timezones

from deployments.models import ScheduleConfig
from deployments.scheduling.cron import DayMatch, DayMatchNeeded, InvalidCron, parse_cron
from deployments.scheduling.errors import InvalidSchedule
from deployments.scheduling.times import Timetable
from executor.errors import Problem
from executor.json_schema import validate_instance
from executor.json_types import JsonObject

MAX_INTERVAL_SECONDS = 366 * 86_400
MAX_CATCH_UP_WINDOW_SECONDS = 7 * 86_400
MAX_JITTER_SECONDS = 86_400


@dataclass(frozen=True)
class ScheduleFields:
    """What a client sets of a schedule, as `ScheduleConfig` stores it."""

    enabled: bool = True
    cron_expression: str | None = None
    interval_seconds: int | None = None
    timezone: str = "UTC"
    day_match: DayMatch | None = None
    overlap: Literal["skip", "queue_one", "cancel_previous", "allow"] = "skip"
    catch_up: Literal["none", "latest", "all"] = "latest"
    catch_up_window_seconds: int = 3600
    start_at: datetime | None = None
    end_at: datetime | None = None
    jitter_seconds: int = 0
    pause_after_failures: int | None = None
    input_data: JsonObject = field(default_factory=dict)

    @classmethod
    def of(cls, schedule: ScheduleConfig) -> "ScheduleFields":
        return cls(**{name: getattr(schedule, name) for name in cls.__dataclass_fields__})


def checked_schedule(schedule: ScheduleFields, *, input_schema: JsonObject | None, now: datetime) -> ScheduleFields:
    """The schedule with its cron expression in canonical form. Raises `InvalidSchedule`."""
    problems = [*_kind_problems(schedule), *_zone_problems(schedule)]
    canonical = schedule
    if schedule.cron_expression is not None:
        try:
            cron = parse_cron(schedule.cron_expression, day_match=schedule.day_match)
            canonical = replace(schedule, cron_expression=cron.text)
        except DayMatchNeeded as needed:
            problems.append(Problem("/day_match", "required", str(needed)))
        except InvalidCron as invalid:
            problems.append(Problem("/cron_expression", "invalid_cron", str(invalid)))
    if not problems:
        problems += _window_problems(canonical, now)
    problems += input_problems(schedule.input_data, input_schema)
    if problems:
        raise InvalidSchedule(problems)
    return canonical


def input_problems(input_data: JsonObject, input_schema: JsonObject | None) -> list[Problem]:
    """What of a schedule's input the schema does not allow, with pointers from the schedule."""
    if input_schema is None:
        return []
    return [
        Problem(f"/input_data{problem.pointer}", problem.code, problem.message)
        for problem in validate_instance(input_schema, input_data)
    ]


def _kind_problems(schedule: ScheduleFields) -> Iterator[Problem]:
    if schedule.cron_expression is not None and schedule.interval_seconds is not None:
        yield Problem(
            "/interval_seconds",
            "both_kinds",
            "A schedule has either a cron_expression or interval_seconds. Set one of them to null.",
        )
    elif schedule.enabled and schedule.cron_expression is None and schedule.interval_seconds is None:
        yield Problem("/enabled", "no_kind", "An enabled schedule needs a cron_expression or interval_seconds.")


def _zone_problems(schedule: ScheduleFields) -> Iterator[Problem]:
    if schedule.timezone in _zones():
        return
    near = get_close_matches(schedule.timezone, _zones(), n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else " An IANA name is needed, such as Europe/Berlin."
    yield Problem("/timezone", "unknown_timezone", f"There is no time zone {schedule.timezone!r}.{hint}")


def _window_problems(schedule: ScheduleFields, now: datetime) -> Iterator[Problem]:
    """An enabled schedule has to have a time that is still to come. One that is off may keep a window that is over."""
    start, end = schedule.start_at, schedule.end_at
    if start is not None and end is not None and end <= start:
        yield Problem("/end_at", "before_start", "end_at has to be after start_at.")
    elif end is not None and schedule.enabled and end <= now:
        yield Problem("/end_at", "in_the_past", f"end_at is in the past ({end.astimezone(UTC):%Y-%m-%d %H:%M} UTC).")
    elif end is not None and schedule.enabled and next(Timetable.of(schedule).after(now), None) is None:
        yield Problem("/end_at", "never_fires", "No time of this schedule comes before end_at, so it would never run.")


@cache
def _zones() -> frozenset[str]:
    # The two that are no places: this machine's own, and the one that says that nothing was set.
    return frozenset(available_timezones() - {"localtime", "Factory"})
