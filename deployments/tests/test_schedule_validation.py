"""Schedules are checked whole before they are stored, and stored in one spelling."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from celery.schedules import crontab
from hypothesis import given
from hypothesis import strategies as st

from deployments.scheduling.cron import (
    DayMatch,
    DayMatchNeeded,
    InvalidCron,
    clock_times,
    describe_cron,
    describe_interval,
    parse_cron,
)
from deployments.scheduling.errors import InvalidSchedule
from deployments.scheduling.validation import ScheduleFields, checked_schedule

NOW = datetime(2025, 6, 2, 12, 0, tzinfo=UTC)
CLOCK = NOW.replace(tzinfo=None)


def check(*, input_schema: dict[str, object] | None = None, **fields: object) -> ScheduleFields:
    return checked_schedule(ScheduleFields(**fields), input_schema=input_schema, now=NOW)  # type: ignore[arg-type]


def problems_of(*, input_schema: dict[str, object] | None = None, **fields: object) -> dict[str, str]:
    with pytest.raises(InvalidSchedule) as refused:
        check(input_schema=input_schema, **fields)
    return {problem.pointer: problem.message for problem in refused.value.problems}


@pytest.mark.parametrize(
    ("expression", "canonical"),
    [
        ("0 9 * * 1-5", "0 9 * * 1-5"),
        ("0 9 * * MON-fri", "0 9 * * 1-5"),
        ("0 9 * * 7", "0 9 * * 0"),
        ("0 9 * * SUN", "0 9 * * 0"),
        ("0 9 * * 5-7", "0 9 * * 0,5,6"),
        ("0 9 * * FRI-MON", "0 9 * * 0,1,5,6"),
        ("0 9 * * 7-2", "0 9 * * 0-2"),
        ("0 9 * * 0-7", "0 9 * * 0-6"),
        ("0 9 * * 7/2", "0 9 * * 0,2,4,6"),
        ("*/15 22-2 * * *", "*/15 0-2,22,23 * * *"),
        ("0 0 1 nov-FEB *", "0 0 1 1,2,11,12 *"),
        ("*/1 * * * *", "* * * * *"),
        ("5/20 * * * *", "5,25,45 * * * *"),
        ("10-40/10 * * * *", "10,20,30,40 * * * *"),
        ("5,1,1,3-4 * * * *", "1,3-5 * * * *"),
        ("  0   9 * * * ", "0 9 * * *"),
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
    ],
)
def test_every_usual_spelling_is_stored_in_one(expression: str, canonical: str) -> None:
    assert parse_cron(expression).text == canonical
    assert parse_cron(canonical).text == canonical


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("* * * * * *", "seconds"),
        ("0 0 * * * * 2025", "seconds"),
        ("0 0 L * *", "not supported"),
        ("0 0 LW * *", "not supported"),
        ("0 0 15W * *", "not supported"),
        ("0 0 * * 5#2", "not supported"),
        ("0 0 * * 5L", "not supported"),
        ("0 0 ? * *", "not supported"),
        ("H 0 * * *", "not supported"),
        ("R 0 * * *", "not supported"),
        ("@reboot", "not known"),
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("60 * * * *", "from 0 to 59"),
        ("* 24 * * *", "from 0 to 23"),
        ("* * 0 * *", "from 1 to 31"),
        ("* * * 13 *", "from 1 to 12"),
        ("* * * * 8", "from 0 to 7"),
        ("*/0 * * * *", "step"),
        ("*/x * * * *", "step"),
        ("-1 * * * *", "minute"),
        ("1- * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("\u0663 * * * *", "minute"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 30 FEB *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_a_sentence(expression: str, word: str) -> None:
    with pytest.raises(InvalidCron, match=word):
        parse_cron(expression)


def test_two_restricted_days_need_a_choice_and_both_choices_are_named() -> None:
    with pytest.raises(DayMatchNeeded, match=r"'and'.*'or'"):
        parse_cron("0 0 13 * 5")
    assert parse_cron("0 0 13 * 5", day_match="or").restricts_both_days
    with pytest.raises(DayMatchNeeded):
        parse_cron("0 0 */2 * 1")


def test_the_choice_decides_which_days_match() -> None:
    def days(day_match: DayMatch) -> list[int]:
        cron = parse_cron("0 0 13 * 5", day_match=day_match)
        times = clock_times(cron, after=CLOCK, day_match=day_match)
        return [time.day for time in islice(times, 3)]

    assert days("or") == [6, 13, 20]
    assert days("and") == [13, 13, 13]


def test_a_date_that_never_comes_is_allowed_where_a_weekday_is_enough() -> None:
    assert parse_cron("0 0 31 2 1", day_match="or").text == "0 0 31 2 1"
    with pytest.raises(InvalidCron, match="never comes"):
        parse_cron("0 0 31 2 1", day_match="and")


def test_the_29th_of_february_does_come() -> None:
    cron = parse_cron("0 0 29 2 *")
    assert next(clock_times(cron, after=CLOCK, day_match=None)).year == 2028


FIELDS = st.tuples(
    *(
        st.one_of(
            st.just("*"),
            st.integers(low, high).map(str),
            st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
            st.integers(1, high).map(lambda step: f"*/{step}"),
            st.lists(st.integers(low, high), min_size=1, max_size=4).map(lambda some: ",".join(map(str, some))),
        )
        for low, high in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 7))
    )
)


@given(FIELDS)
def test_celery_reads_the_stored_spelling_as_we_do(fields: tuple[str, ...]) -> None:
    cron = parse_cron(" ".join(fields), day_match="and")
    read: Any = crontab(cron.minute, cron.hour, cron.day_of_week, cron.day_of_month, cron.month)
    time = next(clock_times(cron, after=CLOCK, day_match="and"))
    assert time.minute in read.minute
    assert time.hour in read.hour
    assert time.day in read.day_of_month
    assert time.month in read.month_of_year
    assert time.isoweekday() % 7 in read.day_of_week


def test_a_schedule_is_either_cron_or_interval() -> None:
    assert "/interval_seconds" in problems_of(cron_expression="0 9 * * *", interval_seconds=60)
    assert "/enabled" in problems_of(enabled=True)
    assert check(enabled=False).enabled is False
    assert check(interval_seconds=1).interval_seconds == 1


def test_all_problems_come_at_once_each_at_its_place() -> None:
    schema: dict[str, object] = {"type": "object", "required": ["text"]}
    found = problems_of(cron_expression="0 0 13 * 5", timezone="Europe/Berlim", input_data={}, input_schema=schema)
    assert set(found) == {"/day_match", "/timezone", "/input_data/text"}
    assert "Europe/Berlin" in found["/timezone"]


@pytest.mark.parametrize("zone", ["", "berlin", "UTC+2", "../etc/localtime", "Europe/Berlin\x00"])
def test_only_iana_zones_are_known(zone: str) -> None:
    assert "/timezone" in problems_of(interval_seconds=60, timezone=zone)


def test_a_time_that_is_over_is_refused() -> None:
    hour = timedelta(hours=1)
    assert "past" in problems_of(interval_seconds=60, end_at=NOW - hour)["/end_at"]
    assert "after start_at" in problems_of(interval_seconds=60, start_at=NOW + hour, end_at=NOW + hour)["/end_at"]
    assert "never run" in problems_of(cron_expression="0 9 25 12 *", end_at=NOW + hour)["/end_at"]
    assert "never run" in problems_of(interval_seconds=7200, end_at=NOW + hour)["/end_at"]
    assert check(interval_seconds=60, end_at=NOW + hour).end_at == NOW + hour
    assert check(enabled=False, interval_seconds=60, end_at=NOW - hour).end_at == NOW - hour


def test_a_schedule_is_said_in_words() -> None:
    assert describe_cron("0 9 * * *", None) == "At 09:00"
    assert "or on Friday" in describe_cron("0 0 13 * 5", "or")
    assert "and only on Friday" in describe_cron("0 0 13 * 5", "and")
    assert [describe_interval(seconds) for seconds in (1, 90, 300, 3600, 172_800)] == [
        "Every second",
        "Every 90 seconds",
        "Every 5 minutes",
        "Every hour",
        "Every 2 days",
    ]
