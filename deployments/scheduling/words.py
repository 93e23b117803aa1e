"""A schedule as a sentence in English. Expressions that mean different times never share a sentence.

The sentence is made from the numbers that the fields stand for and not from their spelling: `*/45` is no "every 45
minutes", as it comes at minutes 0 and 45 of every hour.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from deployments.scheduling.cron import Cron, DayMatch, InvalidCron, parse_cron
from deployments.scheduling.times import ScheduleTimes, day_match_of

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
#: So many times of the day are listed rather than described, and so many where no description is short.
FEW_TIMES, SOME_TIMES = 3, 6
#: Of so many ranges of hours each is named by its first and last time.
FEW_RANGES = 3
#: An interval of so many seconds, minutes or hours is said in these; a longer one in several units.
MAX_COUNT = 120
#: As many that follow each other are said as `a to b`.
MIN_RUN: Final = 3
_EVERY_DAY: Final = " every day"
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def words_of(schedule: ScheduleTimes) -> str | None:
    """`Every 5 minutes`, or `At 09:00 from Monday to Friday (Europe/Berlin)`; None where it has no times."""
    if schedule.interval_seconds:
        return describe_interval(schedule.interval_seconds)
    if schedule.cron_expression is None:
        return None
    sentence = _sentence(schedule.cron_expression, day_match_of(schedule.day_match))
    return None if sentence is None else f"{sentence} ({schedule.timezone})"


@lru_cache(maxsize=1024)
def _sentence(expression: str, day_match: DayMatch | None) -> str | None:
    try:
        return describe_cron(parse_cron(expression, day_match=day_match), day_match)
    except InvalidCron:
        return None


def describe_cron(cron: Cron, day_match: DayMatch | None) -> str:
    """The times of the day, then the days, without a zone."""
    times, tells_of_days = _times(sorted(cron.minutes), sorted(cron.hours))
    days = _days(cron, day_match)
    return times + (days.removeprefix(_EVERY_DAY) if tells_of_days else days)


def describe_interval(seconds: int) -> str:
    """`Every 90 seconds`, `Every 5 minutes`, `Every hour`, `Every 2 hours, 46 minutes and 40 seconds`."""
    for name, size in _UNITS:
        if seconds % size == 0 and (name == "day" or seconds // size <= MAX_COUNT):
            count = seconds // size
            return f"Every {name}" if count == 1 else f"Every {count} {name}s"
    parts = []
    for name, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}" if count == 1 else f"{count} {name}s")
    return f"Every {_joined(parts)}"


def _times(minutes: Sequence[int], hours: Sequence[int]) -> tuple[str, bool]:
    """The hours and minutes, and whether what is said of them needs no "every day" to be whole."""
    count = len(minutes) * len(hours)
    if count <= FEW_TIMES:
        return _listed_times(minutes, hours), False
    is_all_day = len(hours) > FEW_TIMES and _step(hours, 24) is not None
    if (step := _step(minutes, 60)) is not None:
        return _every_few_minutes(step, minutes, hours), is_all_day
    if len(minutes) == 1 and (sentence := _every_few_hours(minutes[0], hours)) is not None:
        return sentence, is_all_day
    if count <= SOME_TIMES:
        return _listed_times(minutes, hours), False
    plural = "" if len(minutes) == 1 else "s"
    return f"At minute{plural} {_joined(_spans(_runs(minutes), str))} of {_hours(hours)}", is_all_day


def _listed_times(minutes: Sequence[int], hours: Sequence[int]) -> str:
    return f"At {_joined([_clock(hour, minute) for hour in hours for minute in minutes])}"


def _every_few_minutes(step: int, minutes: Sequence[int], hours: Sequence[int]) -> str:
    every = "Every minute" if step == 1 else f"Every {step} minutes"
    runs = _runs(hours)
    if len(hours) < 24 and len(runs) <= FEW_RANGES:
        spans = [f"from {_clock(run[0], minutes[0])} to {_clock(run[-1], minutes[-1])}" for run in runs]
        return f"{every} {_joined(spans)}"
    if minutes[0]:
        every = f"{every} from {minutes[0]} past the hour"
    return every if len(hours) == 24 else f"{every}, in {_hours(hours)}"


def _every_few_hours(minute: int, hours: Sequence[int]) -> str | None:
    """None where they follow no rule that can be said."""
    step, runs = _step(hours, 24), _runs(hours)
    if step == 1:
        return f"At minute {minute} of every hour" if minute else "Every hour"
    if step is not None:
        return f"Every {step} hours from {_clock(hours[0], minute)}"
    if len(runs) > FEW_RANGES or min(map(len, runs)) < FEW_TIMES:
        return None
    return f"Every hour {_joined([f'from {_clock(run[0], minute)} to {_clock(run[-1], minute)}' for run in runs])}"


def _hours(hours: Sequence[int]) -> str:
    step = _step(hours, 24)
    if step == 1:
        return "every hour"
    if step is not None and len(hours) > FEW_TIMES:
        return f"every {_ordinal(step)} hour from {_clock(hours[0], 0)}"
    return f"hour {hours[0]}" if len(hours) == 1 else f"the hours {_joined(_spans(_runs(hours), str))}"


def _days(cron: Cron, day_match: DayMatch | None) -> str:
    """The days and months with what joins them to the times; beginning with `_EVERY_DAY` where it is every one."""
    days = None if len(cron.days) == 31 else _days_of_month(sorted(cron.days))
    weekdays = None if len(cron.weekdays) == 7 else _runs(sorted((day - 1) % 7 for day in cron.weekdays), around=7)
    months = None if len(cron.months) == 12 else _runs(sorted(month - 1 for month in cron.months), around=12)
    if cron.restricts_both_days and day_match == "or":
        if days is None or weekdays is None:
            return _EVERY_DAY + _in_months(months)
        return f" {days} of the month or on {_joined(_named(weekdays, WEEKDAYS))}{_in_months(months)}"
    if days is None:
        return (_EVERY_DAY if weekdays is None else _on(weekdays)) + _in_months(months)
    condition = "" if weekdays is None else f" if it is {_joined(_named(weekdays, WEEKDAYS), 'or')}"
    if months is not None and all(len(run) < MIN_RUN for run in months):
        return f" {days} of {_joined(_named(months, MONTHS))}{condition}"
    return f" {days} of the month{condition}{_in_months(months)}"


def _days_of_month(days: Sequence[int]) -> str:
    step = days[1] - days[0] if len(days) > FEW_TIMES else 1
    if step > 1 and list(days) == list(range(days[0], 32, step)):
        return f"on every {_ordinal(step)} day from the {_ordinal(days[0])}"
    return f"on the {_joined(_spans(_runs(days), _ordinal))}"


def _on(weekdays: list[list[int]]) -> str:
    named = _named(weekdays, WEEKDAYS)
    return f", {named[0]}" if len(weekdays) == 1 and len(weekdays[0]) >= MIN_RUN else f" on {_joined(named)}"


def _in_months(months: list[list[int]] | None) -> str:
    if months is None:
        return ""
    named = _named(months, MONTHS)
    return f", from {named[0]}" if len(months) == 1 and len(months[0]) >= MIN_RUN else f", in {_joined(named)}"


def _named(runs: list[list[int]], names: Sequence[str]) -> list[str]:
    return _spans(runs, lambda value: names[value])


def _spans(runs: list[list[int]], name: Callable[[int], str]) -> list[str]:
    """Each run as `a to b`; one or two numbers by themselves."""
    spans = []
    for run in runs:
        spans += [name(value) for value in run] if len(run) < MIN_RUN else [f"{name(run[0])} to {name(run[-1])}"]
    return spans


def _runs(values: Sequence[int], *, around: int = 0) -> list[list[int]]:
    """Rising numbers in runs that follow each other; with `around`, as on a ring of so many."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    if around and len(runs) > 1 and runs[0][0] == 0 and runs[-1][-1] == around - 1:
        runs = [*runs[1:-1], runs[-1] + runs[0]]
    return runs


def _step(values: Sequence[int], size: int) -> int | None:
    """The step, where they are every so many of a ring of that size; 1 for all of them."""
    step = values[1] - values[0] if len(values) > 1 else 0
    return step if step and size % step == 0 and list(values) == list(range(values[0] % step, size, step)) else None


def _clock(hour: int, minute: int) -> str:
    return f"{hour:02}:{minute:02}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _joined(parts: Sequence[str], last: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"
