"""When a schedule comes due: the one engine behind firing, preview and checks. Pure: no database, no clock of its own.

Cron follows the wall clock of its zone. What a change of the clocks does to it depends on whether it is fixed, that is,
whether neither its minute nor its hour starts with `*`:

- fixed: a time that the clocks skip comes at the first instant after the gap, and a time that they show twice comes
  the first time only;
- not fixed: it follows elapsed time. A time that is skipped does not come, one that is shown twice comes twice.

An interval is a grid in UTC that knows of no clocks.
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Protocol, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from deployments.scheduling.cron import Cron, DayMatch, DayMatchNeeded, InvalidCron, clock_times, parse_cron
from deployments.scheduling.errors import InvalidSchedule
from executor.errors import Problem

#: `gap_shifted`: the clocks skip its time, so it comes right after the gap. `repeated`: the clocks show it twice.
ClockChange = Literal["gap_shifted", "repeated"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Two days after the first that a datetime holds: earlier ones cannot be said in every zone.
EARLIEST: Final = datetime(1, 1, 3, tzinfo=UTC)

_MICROSECOND: Final = timedelta(microseconds=1)
_DRAWS: Final = 2**32


class ScheduleTimes(Protocol):
    """What decides a schedule's times: `ScheduleFields` and `ScheduleConfig` have it, the latter its `id` as well."""

    @property
    def cron_expression(self) -> str | None: ...
    @property
    def interval_seconds(self) -> int | None: ...
    @property
    def timezone(self) -> str: ...
    @property
    def day_match(self) -> str | None: ...
    @property
    def start_at(self) -> datetime | None: ...
    @property
    def end_at(self) -> datetime | None: ...
    @property
    def jitter_seconds(self) -> int: ...


class Occurrence(NamedTuple):
    """A time of a schedule, in UTC, and what a change of the clocks has to do with it."""

    at: datetime
    clock_change: ClockChange | None = None


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """The times of one schedule: `cron` or `interval_seconds`. Moments that are given are aware, those answered UTC.

    `seed` is the schedule's id, from which its jitter is drawn; None where it has none yet.
    """

    zone: ZoneInfo
    cron: Cron | None = None
    day_match: DayMatch | None = None
    interval_seconds: int | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    jitter_seconds: int = 0
    seed: object = None

    @classmethod
    def of(cls, schedule: ScheduleTimes) -> Self:
        """The times of a schedule, stored or not, whether or not it is enabled or paused.

        Raises `InvalidSchedule`, also for a row that could once be stored and cannot be evaluated any more.
        """
        if (schedule.cron_expression is None) == (schedule.interval_seconds is None):
            raise InvalidSchedule([Problem("", "no_kind", "Give a schedule a cron_expression or interval_seconds.")])
        if schedule.interval_seconds is not None and schedule.interval_seconds < 1:
            raise InvalidSchedule([Problem("/interval_seconds", "min_value", "interval_seconds has to be 1 or more.")])
        zone, day_match = zone_named(schedule.timezone), _day_match(schedule.day_match)
        if zone is None:
            sentence = f"There is no time zone {schedule.timezone!r} any more. Choose another one."
            raise InvalidSchedule([Problem("/timezone", "unknown_timezone", sentence)])
        return cls(
            zone=zone,
            cron=_cron_of(schedule.cron_expression, day_match),
            day_match=day_match,
            interval_seconds=schedule.interval_seconds,
            start_at=_in_utc(schedule.start_at),
            end_at=_in_utc(schedule.end_at),
            jitter_seconds=schedule.jitter_seconds,
            seed=getattr(schedule, "id", None),
        )

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The times after that moment and after `start_at`, which is never one itself, up to and with `end_at`.

        It ends, without an error, where the calendar does (9999) and where cron has no time for 50 years; what
        `parse_cron` accepts comes at least every 40.
        """
        return (occurrence.at for occurrence in self.occurrences_after(moment))

    def occurrences_after(self, moment: datetime) -> Iterator[Occurrence]:
        """The same with what a change of the clocks did to each."""
        for occurrence in self._without_end(moment):
            if self.end_at is not None and occurrence.at > self.end_at:
                return
            yield occurrence

    def fires_at(self, occurrence: datetime) -> datetime:
        """When that occurrence is to run: up to `jitter_seconds` later, before the next one, and not after `end_at`.

        How much later depends on the seed and the occurrence alone, so that every process says the same; without a
        seed it is not later.
        """
        if not self.jitter_seconds or self.seed is None:
            return occurrence
        latest = timedelta(seconds=self.jitter_seconds)
        if (following := next(self._without_end(occurrence), None)) is not None:
            latest = min(latest, following.at - occurrence)
        if self.end_at is not None:
            latest = max(min(latest, self.end_at - occurrence), timedelta(0))
        return occurrence + timedelta(microseconds=latest // _MICROSECOND * _drawn(self.seed, occurrence) // _DRAWS)

    def _without_end(self, moment: datetime) -> Iterator[Occurrence]:
        after = max(moment.astimezone(UTC), EARLIEST, self.start_at or EARLIEST)
        try:
            yield from self._of_interval(after) if self.cron is None else self._of_cron(self.cron, after)
        except OverflowError:
            return

    def _of_interval(self, after: datetime) -> Iterator[Occurrence]:
        # A grid that hangs on nothing that an edit or a pause could move.
        every, anchor = timedelta(seconds=self.interval_seconds or 0), self.start_at or EPOCH
        at = anchor + every * ((after - anchor) // every + 1)
        while True:
            yield Occurrence(at, "repeated" if _goes_back(at.astimezone(self.zone)) else None)
            at += every

    def _of_cron(self, cron: Cron, after: datetime) -> Iterator[Occurrence]:
        local = after.astimezone(self.zone)
        # While the clocks show a time for the first time, what comes after it the second time is earlier on them.
        shown = local.replace(tzinfo=None) - (_goes_back(local) if local.fold == 0 else timedelta(0))
        times = clock_times(cron, after=shown, day_match=self.day_match)
        last = after
        for occurrence in (_at_fixed_times if cron.is_fixed else _in_elapsed_time)(times, self.zone):
            if occurrence.at > last:
                last = occurrence.at
                yield occurrence


def _at_fixed_times(times: Iterator[datetime], zone: ZoneInfo) -> Iterator[Occurrence]:
    """Each time of the clock once. Those that fall in one gap are all at its end."""
    for time in times:
        before, after = _offsets(time, zone)
        if before < after:
            yield Occurrence(_end_of_gap(time - after, time - before, zone), "gap_shifted")
        else:
            yield Occurrence((time - before).replace(tzinfo=UTC), "repeated" if before > after else None)


def _in_elapsed_time(times: Iterator[datetime], zone: ZoneInfo) -> Iterator[Occurrence]:
    """Each time of the clock as often as the clock shows it: not at all, once or twice."""
    second_showing: deque[Occurrence] = deque()
    for time in times:
        before, after = _offsets(time, zone)
        if before < after:
            continue
        at = (time - before).replace(tzinfo=UTC)
        while second_showing and second_showing[0].at < at:
            yield second_showing.popleft()
        yield Occurrence(at, "repeated" if before > after else None)
        if before > after:
            second_showing.append(Occurrence((time - after).replace(tzinfo=UTC), "repeated"))
    yield from second_showing


def _offsets(time: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """The offsets from UTC before and after a change of the clocks at this time; equal where there is none."""
    aware = time.replace(tzinfo=zone, fold=0)
    return _offset(aware), _offset(aware.replace(fold=1))


def _goes_back(local: datetime) -> timedelta:
    """By how much the clocks are set back where they show this time twice; else zero."""
    before, after = _offset(local.replace(fold=0)), _offset(local.replace(fold=1))
    return max(before - after, timedelta(0))


def _end_of_gap(earlier: datetime, later: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the clocks are set forward: after `earlier` and not after `later`, naive in UTC."""
    seconds = int((later - earlier).total_seconds())
    low, offset = earlier.replace(tzinfo=UTC), _offset(earlier.replace(tzinfo=UTC).astimezone(zone))
    first, last = 1, seconds
    while first < last:
        middle = (first + last) // 2
        if _offset((low + timedelta(seconds=middle)).astimezone(zone)) == offset:
            first = middle + 1
        else:
            last = middle
    return low + timedelta(seconds=first)


def _offset(aware: datetime) -> timedelta:
    return aware.utcoffset() or timedelta(0)


def _drawn(seed: object, occurrence: datetime) -> int:
    """A number below `_DRAWS`, the same in every process and release."""
    text = f"{seed}|{occurrence.astimezone(UTC).isoformat()}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """The IANA time zone; None where this machine knows none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _cron_of(expression: str | None, day_match: DayMatch | None) -> Cron | None:
    if expression is None:
        return None
    try:
        return parse_cron(expression, day_match=day_match)
    except DayMatchNeeded as needed:
        raise InvalidSchedule([Problem("/day_match", "required", str(needed))]) from None
    except InvalidCron as invalid:
        raise InvalidSchedule([Problem("/cron_expression", "invalid_cron", str(invalid))]) from None


def _day_match(value: str | None) -> DayMatch | None:
    return "and" if value == "and" else "or" if value == "or" else None


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
