"""The figures of schedules: how late they fire, what was missed, what was skipped and why."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deployments.models import ExecutionLog, ScheduleConfig
from deployments.scheduling.figures import LATENESS_BOUNDS, ScheduleFigures, read_figures
from deployments.scheduling.firing import fire_due
from deployments.tests.builders import make_deployment, make_queued, make_schedule

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def early_in_the_minute() -> Iterator[None]:
    """A moment at which the last minute was five seconds ago."""
    with time_machine.travel(datetime.now(UTC).replace(second=5, microsecond=0), tick=False):
        yield


def last_minute() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


def figures() -> ScheduleFigures:
    return read_figures(since=timezone.now() - MINUTE)


def test_without_schedules_every_figure_is_nothing() -> None:
    none = dict.fromkeys(LATENESS_BOUNDS, 0)
    assert figures() == ScheduleFigures(0, {}, none, 0, 0.0, 0.0, 0, 0.0)


def test_what_was_fired_is_counted_with_how_late_it_was() -> None:
    make_schedule(make_deployment("a"), after=last_minute() - timedelta(seconds=1))
    on_time = make_schedule(make_deployment("b"), after=last_minute() - timedelta(seconds=1))
    due = timezone.now() - timedelta(seconds=0.2)
    ScheduleConfig.objects.filter(id=on_time.id).update(next_occurrence_at=due, next_fire_at=due)
    fire_due()
    seen = figures()
    assert (seen.fired, seen.measured, seen.skipped, seen.in_force) == (2, 2, {}, 2)
    assert seen.lateness_max == pytest.approx(5)
    assert seen.lateness_sum == pytest.approx(5.2)
    assert seen.at_most_late == {bound: (bound >= 0.25) + (bound >= 5) for bound in LATENESS_BOUNDS}


def test_what_was_missed_or_skipped_is_counted_by_its_reason() -> None:
    make_schedule(make_deployment("a"), after=last_minute() - 5 * MINUTE, catch_up="none")
    full = make_deployment("b", max_concurrent=1, when_full="reject")
    make_queued(full)
    make_schedule(full, after=last_minute() - timedelta(seconds=1))
    fire_due()
    seen = figures()
    assert (seen.fired, seen.missed, seen.skipped) == (1, 4, {"missed": 4, "limit": 1})


def test_a_jitter_is_no_lateness() -> None:
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1), jitter_seconds=30)
    assert schedule.next_fire_at is not None
    with patch("deployments.scheduling.firing.timezone.now", return_value=schedule.next_fire_at):
        fire_due()
    assert (figures().fired, figures().measured) == (1, 0)


def test_a_beat_that_does_not_run_is_seen_at_what_is_overdue() -> None:
    make_schedule(make_deployment("a"))
    assert figures().overdue_seconds == 0
    make_schedule(make_deployment("b"), after=last_minute() - timedelta(seconds=1))
    assert figures().overdue_seconds == pytest.approx(5)


def test_what_is_older_is_left_out_and_so_is_what_was_called() -> None:
    make_schedule(after=last_minute() - timedelta(seconds=1))
    make_queued(make_deployment("called"))
    fire_due()
    ExecutionLog.objects.filter(trigger_type="scheduled").update(created_at=timezone.now() - 2 * MINUTE)
    assert figures().fired == 0


def test_they_cost_three_statements() -> None:
    for number in range(3):
        make_schedule(make_deployment(f"d{number}"), after=last_minute() - timedelta(seconds=1))
    fire_due()
    with CaptureQueriesContext(connection) as queries:
        assert figures().fired == 3
    assert len(queries) == 3


def test_what_is_fired_late_is_worth_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    make_schedule(after=last_minute() - timedelta(seconds=1))
    with caplog.at_level(logging.WARNING, logger="deployments.scheduling.firing"):
        fire_due()
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("1 scheduled times of 1 schedules were fired late, the first by 5.")
    caplog.clear()
    with time_machine.travel(last_minute() + MINUTE, tick=False):
        fire_due()
    assert caplog.records == []
