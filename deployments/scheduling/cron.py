"""Cron expressions: what is accepted, its one canonical spelling, the times it stands for, and the sentence for it.

Five fields. Names, `@hourly` and its like, Sunday as 7 and ranges that wrap around are accepted and stored in the
spelling that every cron of ours reads alike: numbers, Sunday 0, ranges that rise.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal

from cron_descriptor import CasingTypeEnum, ExpressionDescriptor, Options
from cronsim import CronSim

DayMatch = Literal["and", "or"]

MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
DAYS_IN_MONTH: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
MAX_EXPRESSION_CHARACTERS: Final = 200

_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)
_SPECIAL = re.compile(r"[L#?HRW]|LW")


class InvalidCron(ValueError):
    """The expression cannot be a schedule; the message says why."""


class DayMatchNeeded(InvalidCron):
    """Day of month and day of week are both restricted, and nobody said whether both or either has to match."""


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        upper = text.upper()
        if upper in self.names:
            return self.first + self.names.index(upper)
        if not _NUMBER.fullmatch(text):
            raise InvalidCron(self._sentence_about(text))
        value = int(text)
        if not self.first <= value <= self.last:
            raise InvalidCron(f"{text!r} is no {self.name}: it is from {self.first} to {self.last}.")
        return value

    def _sentence_about(self, text: str) -> str:
        if _SPECIAL.search(text.upper()):
            return f"{text!r} in the {self.name} cannot be used: L, W, #, ?, H and R are not supported."
        return f"{text!r} is no {self.name}: numbers from {self.first} to {self.last}, *, ranges, lists and steps are."


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
# Seven is Sunday as well; `_numbers` brings it down to 0.
_WEEKDAY = _Field("day of week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))


@dataclass(frozen=True)
class Cron:
    """A canonical expression. `text` is what is stored; its fields are numbers only."""

    minute: str
    hour: str
    day_of_month: str
    month: str
    day_of_week: str

    @property
    def text(self) -> str:
        return f"{self.minute} {self.hour} {self.day_of_month} {self.month} {self.day_of_week}"

    @property
    def restricts_both_days(self) -> bool:
        return self.day_of_month != "*" and self.day_of_week != "*"

    @property
    def is_fixed(self) -> bool:
        """Whether it names times of the day, which a change of the clocks can hide or double."""
        return not self.minute.startswith("*") and not self.hour.startswith("*")


def parse_cron(expression: str, *, day_match: DayMatch | None = None) -> Cron:
    """The canonical form of the expression. Raises `InvalidCron`, and `DayMatchNeeded` when a choice is missing."""
    parts = _split(expression)
    cron = Cron(*(_canonical(field, text) for field, text in zip(_FIELDS, parts, strict=True)))
    if len(cron.text) > MAX_EXPRESSION_CHARACTERS:
        raise InvalidCron(f"The expression is longer than {MAX_EXPRESSION_CHARACTERS} characters.")
    if cron.restricts_both_days and day_match is None:
        raise DayMatchNeeded(
            "Day of month and day of week are both restricted. Set day_match to 'and' (a day has to match both) or to"
            " 'or' (either is enough)."
        )
    if not (cron.restricts_both_days and day_match == "or"):
        _check_that_it_comes(cron)
    return cron


def clock_times(cron: Cron, *, after: datetime, day_match: DayMatch | None) -> Iterator[datetime]:
    """The times after `after` on a clock that is never set, naive. It ends where nothing comes for 50 years."""
    # Without stars but the bare one: what cronsim concludes from them is for clocks that are set, and from `*/2` in a
    # day field that both days have to match.
    day_of_month, day_of_week = _spelt_out(_DAY, cron.day_of_month), _spelt_out(_WEEKDAY, cron.day_of_week)
    times = CronSim(f"{cron.minute} {cron.hour} {day_of_month} {cron.month} {day_of_week}", after)
    if cron.restricts_both_days:
        times.day_and = day_match == "and"
    return times


@lru_cache(maxsize=1024)
def describe_cron(text: str, day_match: DayMatch | None) -> str:
    """The expression as a sentence in English."""
    options = Options(casing_type=CasingTypeEnum.Sentence, locale_code="en_GB", use_24hour_time_format=True)
    sentence: str = ExpressionDescriptor(text, options).get_description()
    # The describer knows only cron's meaning of two restricted days.
    return sentence.replace(", or on ", ", and only on ") if day_match == "and" else sentence


def describe_interval(seconds: int) -> str:
    """`Every 90 seconds`, `Every 5 minutes`, `Every hour`."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            count = seconds // size
            return f"Every {name}" if count == 1 else f"Every {count} {name}s"
    raise ValueError(f"{seconds} is no interval.")


def _split(expression: str) -> list[str]:
    text = expression.strip()
    if text.startswith("@"):
        if text.lower() not in MACROS:
            raise InvalidCron(f"{text!r} is not known. There are {', '.join(sorted(MACROS))}.")
        text = MACROS[text.lower()]
    parts = text.split()
    if len(parts) in {6, 7}:
        raise InvalidCron("The expression has more than five fields: seconds and years are not supported.")
    if len(parts) != 5:
        raise InvalidCron(
            f"A cron expression has five fields (minute, hour, day of month, month, day of week), not {len(parts)}."
        )
    return parts


def _canonical(field: _Field, text: str) -> str:
    """Numbers that rise, but a leading `*` or `*/n` stays: at a change of the clocks it means elapsed time."""
    terms = text.split(",")
    values = _all_numbers(field, text)
    if {"*", "*/1"} & set(terms):
        return "*"
    if not terms[0].startswith("*"):
        return _written(sorted(values))
    others = values - _numbers(field, terms[0])
    stars = f"*/{int(terms[0][2:])}"
    return f"{stars},{_written(sorted(others))}" if others else stars


def _spelt_out(field: _Field, text: str) -> str:
    return text if text == "*" else _written(sorted(_all_numbers(field, text)))


def _all_numbers(field: _Field, text: str) -> set[int]:
    return {value for term in text.split(",") for value in _numbers(field, term)}


def _numbers(field: _Field, term: str) -> set[int]:
    """What one term stands for, Sunday as 0; a range that wraps goes around the end of the field."""
    base, slash, step_text = term.partition("/")
    step = _step(field, term, step_text) if slash else 1
    first_text, dash, last_text = base.partition("-")
    if base == "*":
        first, last = field.first, _top(field)
    else:
        first = field.number(first_text)
        # A single number with a step runs to the end of the field, as every cron has it.
        last = field.number(last_text) if dash else (_top(field) if slash else first)
        first = 0 if field is _WEEKDAY and first == 7 and last != 7 else first
    if first > last and dash:
        values = [*range(first, _top(field) + 1), *range(field.first, last + 1)]
    else:
        values = list(range(first, last + 1))
    return {value % 7 if field is _WEEKDAY else value for value in values[::step]}


def _step(field: _Field, term: str, text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) == 0:
        raise InvalidCron(f"The step of {term!r} in the {field.name} has to be a number from 1.")
    return int(text)


def _top(field: _Field) -> int:
    return 6 if field is _WEEKDAY else field.last


def _written(values: list[int]) -> str:
    """As short as it gets: a range where three or more follow each other, else a list."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(str(value) for value in run) for run in runs)


def _check_that_it_comes(cron: Cron) -> None:
    months, days = _all_numbers(_MONTH, cron.month), _all_numbers(_DAY, cron.day_of_month)
    if min(days) > max(DAYS_IN_MONTH[month - 1] for month in months):
        raise InvalidCron(f"This date never comes: month {cron.month} has no day {cron.day_of_month}.")


_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)
