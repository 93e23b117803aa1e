"""The engine of times against a walk over every minute at changes of the clocks; the laws of intervals and jitter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployments.scheduling.cron import parse_cron
from deployments.scheduling.errors import InvalidSchedule
from deployments.scheduling.times import EPOCH, Timetable, _in_elapsed_time
from deployments.scheduling.validation import ScheduleFields
from deployments.tests.clock_walk import WrittenCron, crons, walk

NOW = datetime(2025, 6, 2, 12, 0, tzinfo=UTC)
SCHEDULE_ID = UUID("01900000-0000-7000-8000-000000000000")
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)

#: A zone and a UTC day on which its clocks are changed, or any day where they never are.
CHANGES = [
    ("Europe/Paris", "2025-03-30"),
    ("Europe/Paris", "2025-10-26"),
    ("America/New_York", "2025-03-09"),
    ("America/New_York", "2025-11-02"),
    ("Australia/Lord_Howe", "2025-04-05"),  # by half an hour
    ("Australia/Lord_Howe", "2025-10-04"),
    ("Asia/Kolkata", "2025-03-30"),
    ("UTC", "2025-10-26"),
    ("Africa/Cairo", "2025-04-24"),  # at midnight
    ("Africa/Cairo", "2025-10-30"),
    ("America/St_Johns", "2006-10-29"),  # one minute after midnight, back into the day before
    ("Pacific/Apia", "2011-12-30"),  # a whole day is left out
]


def timetable(cron: str, zone: str = "UTC", **fields: object) -> Timetable:
    return Timetable.of(ScheduleFields(cron_expression=cron, timezone=zone, **fields))  # type: ignore[arg-type]


def every(seconds: int, **fields: object) -> Timetable:
    return Timetable.of(ScheduleFields(interval_seconds=seconds, **fields))  # type: ignore[arg-type]


def until(times: Timetable, first: datetime, last: datetime) -> list[datetime]:
    return list(takewhile(lambda time: time <= last, times.after(first)))


def local(times: Timetable, first: str, count: int) -> list[str]:
    """The next times as a clock in the zone shows them, from a time of that clock on."""
    start = datetime.fromisoformat(first).replace(tzinfo=times.zone)
    return [f"{time.astimezone(times.zone):%d %H:%M %z}" for time in islice(times.after(start), count)]


class TestClocks:
    @pytest.mark.parametrize(("zone", "day"), CHANGES)
    @given(cron=crons)
    @settings(max_examples=60, deadline=None)
    def test_the_times_are_those_of_a_walk_over_every_minute(self, zone: str, day: str, cron: WrittenCron) -> None:
        changed = datetime.fromisoformat(day).replace(tzinfo=UTC)
        first, last = changed - 2 * DAY, changed + 3 * DAY
        times = timetable(cron.text, zone, day_match=cron.day_match)
        assert until(times, first - SECOND, last) == walk(cron, zone, first, last)

    @pytest.mark.parametrize(("zone", "day"), CHANGES)
    @given(cron=crons, seconds=st.integers(-30 * 3600, 40 * 3600), microseconds=st.sampled_from([0, 1, 999_999]))
    @settings(max_examples=40, deadline=None)
    def test_wherever_it_is_asked_from_the_times_are_the_same(
        self, zone: str, day: str, cron: WrittenCron, seconds: int, microseconds: int
    ) -> None:
        changed = datetime.fromisoformat(day).replace(tzinfo=UTC)
        first, last = changed - 2 * DAY, changed + 3 * DAY
        moment = changed + timedelta(seconds=seconds, microseconds=microseconds)
        expected = [time for time in walk(cron, zone, first, last) if time > moment]
        assert until(timetable(cron.text, zone, day_match=cron.day_match), moment, last) == expected

    @given(cron=crons, days=st.integers(0, 4000))
    @settings(max_examples=60, deadline=None)
    def test_the_next_day_is_the_next_that_has_one(self, cron: WrittenCron, days: int) -> None:
        """Over years, where a walk over minutes would take too long: one over days."""
        start = datetime(2019, 12, 31, tzinfo=UTC) + days * DAY
        found = next(timetable(cron.text, day_match=cron.day_match).after(start - SECOND))
        day = start.replace(hour=min(cron.hour.numbers), minute=min(cron.minute.numbers))
        while not cron.has(day):
            day += DAY
        assert found == day

    def test_a_skipped_time_comes_once_right_after_the_gap(self) -> None:
        paris = timetable("0,30 2 * * *", "Europe/Paris")
        assert local(paris, "2025-03-29T12:00", 2) == ["30 03:00 +0200", "31 02:00 +0200"]
        lord_howe = timetable("15 2 * * *", "Australia/Lord_Howe")
        assert local(lord_howe, "2025-10-04T12:00", 2) == ["05 02:30 +1100", "06 02:15 +1100"]
        cairo = timetable("0 0 * * *", "Africa/Cairo")
        assert local(cairo, "2025-04-24T12:00", 2) == ["25 01:00 +0300", "26 00:00 +0300"]

    def test_a_fixed_time_that_is_shown_twice_comes_the_first_time_only(self) -> None:
        assert local(timetable("30 2 * * *", "Europe/Paris"), "2025-10-25T12:00", 2) == [
            "26 02:30 +0200",
            "27 02:30 +0100",
        ]

    def test_steps_follow_elapsed_time(self) -> None:
        assert local(timetable("*/30 * * * *", "Europe/Paris"), "2025-10-26T01:45", 5) == [
            "26 02:00 +0200",
            "26 02:30 +0200",
            "26 02:00 +0100",
            "26 02:30 +0100",
            "26 03:00 +0100",
        ]
        # The library alone loses this 02:00.
        assert local(timetable("0 */2 * * *", "Australia/Lord_Howe"), "2025-04-05T23:00", 3) == [
            "06 00:00 +1100",
            "06 02:00 +1030",
            "06 04:00 +1030",
        ]

    def test_a_second_showing_is_not_lost_where_nothing_comes_after_it(self) -> None:
        last = datetime.fromisoformat("2025-10-26T02:30")
        found = [occurrence.at.hour for occurrence in _in_elapsed_time(iter([last]), ZoneInfo("Europe/Paris"))]
        assert found == [0, 1]

    def test_what_a_change_of_the_clocks_does_is_said(self) -> None:
        def changes(cron: str, first: datetime) -> list[str | None]:
            times = timetable(cron, "Europe/Paris").occurrences_after(first)
            return [occurrence.clock_change for occurrence in islice(times, 4)]

        spring, autumn = datetime(2025, 3, 29, 12, tzinfo=UTC), datetime(2025, 10, 26, 0, tzinfo=UTC)
        assert changes("30 2,9 * * *", spring) == ["gap_shifted", None, None, None]
        assert changes("30 */1 * * *", autumn) == ["repeated", "repeated", None, None]
        assert changes("0 2 * * *", autumn - 2 * DAY) == [None, "repeated", None, None]


class TestBounds:
    @pytest.mark.parametrize("cron", ["0 0 29 2 *", "0 0 29 2 1", "30 2 29 2 0"])
    def test_a_sparse_time_is_found(self, cron: str) -> None:
        times = timetable(cron, "Europe/Paris", day_match="and")
        found = next(times.after(datetime(2072, 3, 1, tzinfo=UTC))).astimezone(times.zone)
        assert (found.day, found.month) == (29, 2)

    @pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
    def test_times_end_where_the_calendar_does(self, zone: str) -> None:
        last = datetime.max.replace(tzinfo=UTC)
        for times in (timetable("* * * * *", zone), timetable("0 2 * * *", zone), every(86_400)):
            assert len(list(times.after(last - 2 * DAY))) <= 2 * 1440
            assert list(times.after(last)) == []
            assert next(times.after(datetime.min.replace(tzinfo=UTC))).year == 1
            assert times.fires_at(last) == last

    def test_what_never_comes_ends_instead_of_hanging(self) -> None:
        """The expression is refused when it is stored; this is for one that got by."""
        cron = replace(parse_cron("0 0 1 1 *"), day_of_month="30", month="2", day_of_week="1")
        times = Timetable(zone=ZoneInfo("UTC"), cron=cron, day_match="and")
        assert list(times.after(NOW)) == []

    @given(
        start=st.integers(0, 10**6),
        length=st.integers(1, 10**5),
        moment=st.integers(-(10**6), 2 * 10**6),
        seconds=st.integers(1, 5000),
    )
    def test_start_never_fires_and_the_end_may(self, start: int, length: int, moment: int, seconds: int) -> None:
        start_at, end_at = NOW + start * SECOND, NOW + (start + length) * SECOND
        for times in (
            every(seconds, start_at=start_at, end_at=end_at),
            timetable("*/7 * * * *", start_at=start_at, end_at=end_at),
        ):
            found = list(islice(times.after(NOW + moment * SECOND), 50))
            assert all(start_at < time <= end_at for time in found)
            assert all(time > NOW + moment * SECOND for time in found)
        nine = timetable("0 9 * * *", start_at=NOW.replace(hour=9), end_at=NOW.replace(hour=9) + DAY)
        assert list(nine.after(NOW - DAY)) == [NOW.replace(hour=9) + DAY]


class TestIntervals:
    @given(
        seconds=st.integers(1, 40_000_000),
        moment=st.integers(-(10**9), 3 * 10**9).map(lambda seconds: EPOCH + seconds * SECOND),
        start=st.none() | st.integers(0, 2 * 10**9).map(lambda seconds: EPOCH + seconds * SECOND),
    )
    @example(seconds=1, moment=EPOCH, start=None)
    def test_the_grid_hangs_on_start_at_or_the_epoch(
        self, seconds: int, moment: datetime, start: datetime | None
    ) -> None:
        times = list(islice(every(seconds, start_at=start).after(moment), 3))
        anchor, grid = start or EPOCH, timedelta(seconds=seconds)
        assert all((time - anchor) % grid == timedelta(0) for time in times)
        assert times[0] > max(moment, anchor if start else moment)
        assert times[0] - grid <= max(moment, anchor if start else moment)
        assert times == [times[0], times[0] + grid, times[0] + 2 * grid]

    @given(
        seconds=st.integers(1, 100_000),
        pause=st.integers(0, 10**7),
        start=st.none() | st.integers(0, 10**6),
        zone=st.sampled_from(["Europe/Paris", "Asia/Kolkata", "Australia/Lord_Howe"]),
    )
    def test_an_edit_or_a_pause_never_moves_the_grid(
        self, seconds: int, pause: int, start: int | None, zone: str
    ) -> None:
        start_at = None if start is None else NOW + start * SECOND
        before = every(seconds, start_at=start_at)
        resumed = NOW + pause * SECOND
        expected = next(before.after(resumed))
        assert not (expected - next(before.after(NOW))) % timedelta(seconds=seconds)
        for edited in ({"timezone": zone}, {"jitter_seconds": 30}, {"end_at": resumed + 10_000 * DAY}):
            assert next(every(seconds, start_at=start_at, **edited).after(resumed)) == expected

    def test_an_interval_knows_no_clocks(self) -> None:
        hourly = every(3600, timezone="Europe/Paris")
        start = datetime(2025, 10, 25, 23, 30, tzinfo=UTC)
        occurrences = list(islice(hourly.occurrences_after(start), 4))
        assert [occurrence.at.hour for occurrence in occurrences] == [0, 1, 2, 3]
        assert [occurrence.clock_change for occurrence in occurrences] == ["repeated", "repeated", None, None]


class TestJitter:
    @given(
        cron=crons,
        seconds=st.integers(1, 100_000),
        jitter=st.integers(0, 86_400),
        ends_after=st.none() | st.integers(0, 10**6),
        seed=st.uuids(),
    )
    @settings(max_examples=60, deadline=None)
    def test_it_is_drawn_once_and_keeps_the_order(
        self, cron: WrittenCron, seconds: int, jitter: int, ends_after: int | None, seed: UUID
    ) -> None:
        end_at = None if ends_after is None else NOW + ends_after * SECOND
        for plain in (timetable(cron.text, day_match=cron.day_match, end_at=end_at), every(seconds, end_at=end_at)):
            times = replace(plain, jitter_seconds=jitter, seed=seed)
            for occurrence, following in zip(islice(times.after(NOW), 5), islice(plain.after(NOW), 1, 6), strict=False):
                fires = times.fires_at(occurrence)
                assert occurrence <= fires < following
                assert fires - occurrence <= jitter * SECOND
                assert end_at is None or fires <= end_at
                assert (
                    replace(times, seed=UUID(str(seed))).fires_at(occurrence.astimezone(ZoneInfo("Asia/Tokyo")))
                    == fires
                )

    def test_it_is_the_same_in_every_process_and_release(self) -> None:
        times = replace(timetable("0 9 * * *", jitter_seconds=600), seed=SCHEDULE_ID)
        delays = [(times.fires_at(time) - time).total_seconds() for time in islice(times.after(NOW), 3)]
        assert delays == [53.839311, 399.82347, 285.781572]

    def test_nothing_fires_after_the_end(self) -> None:
        nine = NOW.replace(hour=9) + DAY
        for left in (timedelta(0), 10 * SECOND):
            times = timetable("0 9 * * *", jitter_seconds=3600, end_at=nine + left)
            fires = [replace(times, seed=number).fires_at(nine) for number in range(100)]
            assert nine <= min(fires) <= max(fires) <= nine + left

    def test_it_spreads_schedules_and_occurrences(self) -> None:
        times = timetable("0 9 * * *", jitter_seconds=3600)
        nine = next(times.after(NOW))
        delays = [replace(times, seed=number).fires_at(nine) - nine for number in range(1000)]
        assert len(set(delays)) > 990
        mean = sum(delays, timedelta(0)) / len(delays)
        assert timedelta(minutes=27) < mean < timedelta(minutes=33)
        days = replace(times, seed=SCHEDULE_ID)
        assert len({days.fires_at(time) - time for time in islice(days.after(NOW), 100)}) > 90

    def test_without_an_id_there_is_nothing_to_draw_from(self) -> None:
        times = timetable("0 9 * * *", jitter_seconds=600)
        nine = next(times.after(NOW))
        assert times.fires_at(nine) == nine


class TestRowsThatCannotBeEvaluated:
    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"cron_expression": "0 9 * * *", "timezone": "Europe/Atlantis"}, "/timezone"),
            ({"cron_expression": "0 9 * * *", "timezone": "../etc/passwd"}, "/timezone"),
            ({"cron_expression": "0 9 * * *", "timezone": "Europe"}, "/timezone"),
            ({"cron_expression": "5-7"}, "/cron_expression"),
            ({"cron_expression": ""}, "/cron_expression"),
            ({"cron_expression": "0 9 1 * 1"}, "/day_match"),
            ({"interval_seconds": 0}, "/interval_seconds"),
            ({}, "/cron_expression"),
            ({"cron_expression": "0 9 * * *", "interval_seconds": 60}, "/cron_expression"),
        ],
    )
    def test_they_say_why(self, fields: dict[str, object], pointer: str) -> None:
        with pytest.raises(InvalidSchedule) as refused:
            Timetable.of(ScheduleFields(**fields))  # type: ignore[arg-type]
        assert [problem.pointer for problem in refused.value.problems] == [pointer]
