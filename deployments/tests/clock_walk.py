"""What a cron expression means, by walking over every minute of UTC and looking at a clock in the zone.

The rules of changes of the clocks stand here a second time, in other words than in `deployments.scheduling.times` and
without its library: fields are sets of numbers, and whether a minute counts is asked of each minute.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Written:
    """A field as it is written, and the numbers that this stands for."""

    text: str
    numbers: frozenset[int] = field(repr=False)


@dataclass(frozen=True)
class WrittenCron:
    """Five fields, in their order."""

    minute: Written
    hour: Written
    day: Written
    month: Written
    weekday: Written
    day_match: str | None

    @property
    def text(self) -> str:
        return " ".join(field.text for field in (self.minute, self.hour, self.day, self.month, self.weekday))

    @property
    def is_fixed(self) -> bool:
        return self.minute.text[0] != "*" and self.hour.text[0] != "*"

    def has(self, clock: datetime) -> bool:
        """Whether a clock that shows this shows a time of the expression."""
        if clock.minute not in self.minute.numbers or clock.hour not in self.hour.numbers:
            return False
        of_month, of_week = clock.day in self.day.numbers, clock.isoweekday() % 7 in self.weekday.numbers
        if "*" in (self.day.text, self.weekday.text) or self.day_match == "and":
            is_day = of_month and of_week
        else:
            is_day = of_month or of_week
        return is_day and clock.month in self.month.numbers


def walk(cron: WrittenCron, zone: str, first: datetime, last: datetime) -> list[datetime]:
    """Every UTC minute from `first` to `last` at which it fires; both are whole UTC minutes."""
    return [
        moment
        for moment, clock, skipped, is_second in _minutes(zone, first, last)
        if (cron.is_fixed and any(map(cron.has, skipped))) or (cron.has(clock) and not (cron.is_fixed and is_second))
    ]


@cache
def _minutes(zone: str, first: datetime, last: datetime) -> list[tuple[datetime, datetime, list[datetime], bool]]:
    """Each minute with what the clock shows, what it has just skipped, and whether it has shown the same before."""
    rows = []
    shown: set[datetime] = set()
    # From a day before: what was shown there cannot come a second time inside.
    moment, before = first - timedelta(days=1), None
    for clock in _clock(ZoneInfo(zone), moment):
        skipped: list[datetime] = []
        while before is not None and before + MINUTE < clock:
            before += MINUTE
            skipped.append(before)
        if moment >= first:
            rows.append((moment, clock, skipped, clock in shown))
        shown.add(clock)
        before = clock
        moment += MINUTE
        if moment > last:
            return rows
    raise AssertionError("a clock does not stop")


def _clock(zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    while True:
        yield moment.astimezone(zone).replace(tzinfo=None)
        moment += MINUTE


@st.composite
def _field(draw: DrawFn, low: int, high: int, likely: tuple[int, int]) -> Written:
    """`*`, `*/n`, a number, a range with or without a step, a list; numbers are mostly in the `likely` range."""
    number = st.one_of(st.integers(*likely), st.integers(low, high))
    kind = draw(st.sampled_from(["*", "*/n", "n", "a-b", "a-b/n", "list", "*/n,list"]))
    first, last = sorted((draw(number), draw(number)))
    step = draw(st.integers(2, high))
    some = draw(st.lists(number, min_size=1, max_size=4))
    listed = ",".join(map(str, some))
    every, stepped = range(low, high + 1), range(low, high + 1, step)
    return {
        "*": Written("*", frozenset(every)),
        "*/n": Written(f"*/{step}", frozenset(stepped)),
        "n": Written(str(first), frozenset({first})),
        "a-b": Written(f"{first}-{last}", frozenset(range(first, last + 1))),
        "a-b/n": Written(f"{first}-{last}/{step}", frozenset(range(first, last + 1, step))),
        "list": Written(listed, frozenset(some)),
        "*/n,list": Written(f"*/{step},{listed}", frozenset({*stepped, *some})),
    }[kind]


_ANY = st.just(Written("*", frozenset(range(32))))

#: Expressions whose times are mostly at night, on days that come in every month.
crons = st.builds(
    WrittenCron,
    minute=_field(0, 59, (0, 45)),
    hour=_field(0, 23, (0, 4)),
    day=st.one_of(_ANY, _ANY, _field(1, 31, (1, 31)).filter(lambda field: min(field.numbers) < 29)),
    month=st.one_of(_ANY, _ANY, _field(1, 12, (3, 11))),
    weekday=st.one_of(_ANY, _ANY, _field(0, 6, (0, 6))),
    day_match=st.sampled_from(["and", "or"]),
)
