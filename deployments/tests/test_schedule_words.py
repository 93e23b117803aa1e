"""Every accepted expression has a sentence, and a sentence means one thing only."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.scheduling.cron import MACROS, Cron, DayMatch, parse_cron
from deployments.scheduling.validation import ScheduleFields
from deployments.scheduling.words import describe_cron, describe_interval, words_of
from deployments.tests.clock_walk import WrittenCron, crons

#: What people write, and how it is said.
CORPUS = {
    "* * * * *": "Every minute",
    "*/5 * * * *": "Every 5 minutes",
    "*/30 * * * *": "Every 30 minutes",
    "5-59/20 * * * *": "Every 20 minutes from 5 past the hour",
    "*/7 * * * *": "At minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour",
    "*/45 * * * *": "At minutes 0 and 45 of every hour",
    "*/90 * * * *": "Every hour",
    "0 * * * *": "Every hour",
    "30 * * * *": "At minute 30 of every hour",
    "0-29 * * * *": "At minutes 0 to 29 of every hour",
    "*/15,7 * * * *": "At minutes 0, 7, 15, 30 and 45 of every hour",
    "0-59 * * * *": "Every minute",
    "0 */2 * * *": "Every 2 hours from 00:00",
    "15 */6 * * *": "Every 6 hours from 00:15",
    "3 1-23/2 * * *": "Every 2 hours from 01:03",
    "0 */8 * * *": "At 00:00, 08:00 and 16:00 every day",
    "0 */5 * * *": "At 00:00, 05:00, 10:00, 15:00 and 20:00 every day",
    "*/15 */2 * * *": "Every 15 minutes, in every 2nd hour from 00:00",
    "5-59/20 */2 * * *": "Every 20 minutes from 5 past the hour, in every 2nd hour from 00:00",
    "* 9 * * *": "Every minute from 09:00 to 09:59 every day",
    "*/10 9-17 * * 1-5": "Every 10 minutes from 09:00 to 17:50, Monday to Friday",
    "*/15 22-2 * * 1": "Every 15 minutes from 00:00 to 02:45 and from 22:00 to 23:45 on Monday",
    "*/10 1,4,9,12,15 * * *": "Every 10 minutes, in the hours 1, 4, 9, 12 and 15 every day",
    "0 9-17 * * MON-FRI": "Every hour from 09:00 to 17:00, Monday to Friday",
    "30 8-18 * * *": "Every hour from 08:30 to 18:30 every day",
    "7,22 0-5,9,12-17 * * *": "At minutes 7 and 22 of the hours 0 to 5, 9 and 12 to 17 every day",
    "0 9 * * *": "At 09:00 every day",
    "30 9,17 * * *": "At 09:30 and 17:30 every day",
    "5,25 6,18 * * *": "At 06:05, 06:25, 18:05 and 18:25 every day",
    "0 6,12,18,23 * * *": "At 06:00, 12:00, 18:00 and 23:00 every day",
    "0 9 * * 1-5": "At 09:00, Monday to Friday",
    "0 9 * * 7": "At 09:00 on Sunday",
    "0 9 * * 6,0": "At 09:00 on Saturday and Sunday",
    "0 9 * * FRI-SUN": "At 09:00, Friday to Sunday",
    "0 9 * * 6-1": "At 09:00, Saturday to Monday",
    "0 9 * * */2": "At 09:00 on Tuesday, Thursday, Saturday and Sunday",
    "0 0 1 * *": "At 00:00 on the 1st of the month",
    "0 0 1,15 * *": "At 00:00 on the 1st and 15th of the month",
    "0 0 1-7 * *": "At 00:00 on the 1st to 7th of the month",
    "0 0 2,3,11-13,21-23,31 * *": "At 00:00 on the 2nd, 3rd, 11th to 13th, 21st to 23rd and 31st of the month",
    "0 0 */2 * *": "At 00:00 on every 2nd day from the 1st of the month",
    "0 0 */10 * *": "At 00:00 on every 10th day from the 1st of the month",
    "0 0 29 2 *": "At 00:00 on the 29th of February",
    "0 0 1 */3 *": "At 00:00 on the 1st of January, April, July and October",
    "0 0 1 11-2 *": "At 00:00 on the 1st of the month, from November to February",
    "0 9 * 6-8 *": "At 09:00 every day, from June to August",
    "0 9 * 1,12 1-5": "At 09:00, Monday to Friday, in December and January",
    "* * * 2 *": "Every minute, in February",
    "@hourly": "Every hour",
    "@daily": "At 00:00 every day",
    "@midnight": "At 00:00 every day",
    "@weekly": "At 00:00 on Sunday",
    "@monthly": "At 00:00 on the 1st of the month",
    "@yearly": "At 00:00 on the 1st of January",
    "@annually": "At 00:00 on the 1st of January",
}

#: Where both days are restricted: with `and`, with `or`.
BOTH_DAYS = {
    "0 9 13 * 5": (
        "At 09:00 on the 13th of the month if it is Friday",
        "At 09:00 on the 13th of the month or on Friday",
    ),
    "0 9 1-7 * 1": (
        "At 09:00 on the 1st to 7th of the month if it is Monday",
        "At 09:00 on the 1st to 7th of the month or on Monday",
    ),
    "*/5 8-18 1,15 * 1-5": (
        "Every 5 minutes from 08:00 to 18:55 on the 1st and 15th of the month if it is Monday to Friday",
        "Every 5 minutes from 08:00 to 18:55 on the 1st and 15th of the month or on Monday to Friday",
    ),
    "0 9 */2 * 1,3": (
        "At 09:00 on every 2nd day from the 1st of the month if it is Monday or Wednesday",
        "At 09:00 on every 2nd day from the 1st of the month or on Monday and Wednesday",
    ),
    "59 23 31 12 0": (
        "At 23:59 on the 31st of December if it is Sunday",
        "At 23:59 on the 31st of the month or on Sunday, in December",
    ),
    "0 0 1-31 * 1": ("At 00:00 on Monday", "At 00:00 every day"),
    "0 0 13 6-8 0-6": (
        "At 00:00 on the 13th of the month, from June to August",
        "At 00:00 every day, from June to August",
    ),
}


@pytest.mark.parametrize(("expression", "sentence"), CORPUS.items())
def test_what_people_write_is_said_as_they_would(expression: str, sentence: str) -> None:
    assert describe_cron(parse_cron(expression), None) == sentence


def test_every_name_is_in_the_corpus() -> None:
    assert set(MACROS) <= set(CORPUS)


@pytest.mark.parametrize(("expression", "sentences"), BOTH_DAYS.items())
def test_and_and_or_are_told_apart(expression: str, sentences: tuple[str, str]) -> None:
    choices: tuple[DayMatch, ...] = ("and", "or")
    for choice, sentence in zip(choices, sentences, strict=True):
        assert describe_cron(parse_cron(expression, day_match=choice), choice) == sentence


def meaning(cron: Cron, day_match: DayMatch | None) -> object:
    """The times of the day, and which days of a year that has every weekday on every date."""
    of_month, of_week = cron.days, cron.weekdays
    is_enough = any if cron.restricts_both_days and day_match == "or" else all
    days = {
        (day, weekday)
        for day, weekday in product(range(1, 32), range(7))
        if is_enough((day in of_month, weekday in of_week))
    }
    return cron.minutes, cron.hours, cron.months, days


def said_and_meant(written: WrittenCron) -> tuple[str, object]:
    day_match: DayMatch = "and" if written.day_match == "and" else "or"
    cron = parse_cron(written.text, day_match=day_match)
    return describe_cron(cron, day_match), meaning(cron, day_match)


@settings(deadline=None)
@given(one=crons, other=crons, changed=st.sampled_from(["minute", "hour", "day", "month", "weekday", "day_match"]))
def test_what_is_said_alike_means_the_same(one: WrittenCron, other: WrittenCron, changed: str) -> None:
    """Of two that differ in one field: a sentence that leaves something of it out would be said of both."""
    (said, meant) = said_and_meant(one)
    (also_said, also_meant) = said_and_meant(replace(one, **{changed: getattr(other, changed)}))
    assert (said == also_said) == (meant == also_meant)


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        (1, "Every second"),
        (45, "Every 45 seconds"),
        (90, "Every 90 seconds"),
        (300, "Every 5 minutes"),
        (3600, "Every hour"),
        (5400, "Every 90 minutes"),
        (86_400, "Every day"),
        (172_800, "Every 2 days"),
        (366 * 86_400, "Every 366 days"),
        (10_000, "Every 2 hours, 46 minutes and 40 seconds"),
        (90_061, "Every 1 day, 1 hour, 1 minute and 1 second"),
    ],
)
def test_an_interval_is_said_in_few_units(seconds: int, sentence: str) -> None:
    assert describe_interval(seconds) == sentence


@given(st.integers(1, 366 * 86_400), st.integers(1, 366 * 86_400))
def test_different_intervals_are_said_differently(one: int, other: int) -> None:
    assert (describe_interval(one) == describe_interval(other)) == (one == other)


def test_a_sentence_about_a_clock_names_its_zone() -> None:
    daily = ScheduleFields(cron_expression="0 9 * * 1-5", timezone="Europe/Berlin")
    assert words_of(daily) == "At 09:00, Monday to Friday (Europe/Berlin)"
    assert words_of(ScheduleFields(interval_seconds=300, timezone="Europe/Berlin")) == "Every 5 minutes"


def test_what_has_no_times_has_no_words() -> None:
    assert words_of(ScheduleFields(enabled=False)) is None
    assert words_of(ScheduleFields(cron_expression="5-7")) is None
    assert words_of(ScheduleFields(cron_expression="0 9 1 * 1")) is None
