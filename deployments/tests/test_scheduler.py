"""Our beat: foreign entries of beat's tables run as ever, by one beat at a time; ours fire from their own table."""

from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import pytest
from celery import current_app
from django.db import OperationalError
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from deployments.models import BeatLease, ExecutionLog, ScheduleConfig
from deployments.scheduling import scheduler as scheduler_module
from deployments.scheduling.entries import FIRE_SCHEDULE
from deployments.scheduling.scheduler import DeploymentScheduler
from deployments.scheduling.tasks import fire_schedule
from deployments.tests.builders import make_deployment, make_schedule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def connections_stay_open() -> Iterator[None]:
    """The scheduler closes what is old; a test's one connection holds its transaction."""
    with (
        patch.object(scheduler_module, "close_old_connections"),
        patch("django_celery_beat.schedulers.close_old_connections"),
    ):
        yield


def make_beat() -> DeploymentScheduler:
    return DeploymentScheduler(app=current_app)


def make_entry(name: str, **fields: object) -> PeriodicTask:
    """Somebody else's entry, due at once."""
    interval = IntervalSchedule.objects.create(every=1, period="seconds")
    return PeriodicTask.objects.create(name=name, task="their.task", interval=interval, **fields)


def make_due(schedule: ScheduleConfig) -> None:
    due = timezone.now() - timedelta(seconds=1)
    ScheduleConfig.objects.filter(id=schedule.id).update(next_occurrence_at=due, next_fire_at=due)


def test_a_tick_fires_what_is_due_and_says_when_the_next_is() -> None:
    schedule, beat = make_schedule(interval_seconds=3600), make_beat()
    make_due(schedule)
    assert beat.tick() <= 1, "an edit is not to wait for longer"
    assert ExecutionLog.objects.filter(schedule_id=schedule.id).count() == 1


def test_a_tick_wakes_for_the_next_schedule() -> None:
    schedule, beat = make_schedule(interval_seconds=3600), make_beat()
    soon = timezone.now() + timedelta(seconds=0.4)
    ScheduleConfig.objects.filter(id=schedule.id).update(next_occurrence_at=soon, next_fire_at=soon)
    assert beat.tick() <= 0.4


def test_our_entries_are_not_run_by_the_stock_tick_and_foreign_ones_are() -> None:
    make_schedule(interval_seconds=1)
    make_entry("theirs")
    names = {entry.task for entry in make_beat().schedule.values()}
    assert FIRE_SCHEDULE not in names
    assert "their.task" in names
    stock = {entry.task for entry in DatabaseScheduler(app=current_app).schedule.values()}
    assert FIRE_SCHEDULE in stock, "a stock beat would run them, too"


def test_an_entry_of_a_fixed_hour_is_loaded_whatever_the_hour() -> None:
    far = (timezone.now() + timedelta(hours=9)).hour
    crontab = CrontabSchedule.objects.create(minute="0", hour=str(far), timezone="UTC")
    PeriodicTask.objects.create(name="nightly", task="their.task", crontab=crontab)
    assert "nightly" in make_beat().schedule
    stock = DatabaseScheduler(app=current_app)
    assert "nightly" not in stock.schedule or far == 4, "the stock scheduler leaves it out, and runs it a day late"


def test_an_entry_that_cannot_be_read_keeps_no_other_from_running() -> None:
    make_entry("theirs")
    unreadable = CrontabSchedule.objects.create(minute="")
    PeriodicTask.objects.create(name="unreadable", task="their.task", crontab=unreadable)
    assert set(make_beat().schedule) & {"theirs", "unreadable"} == {"theirs"}


def test_one_beat_at_a_time_runs_foreign_entries() -> None:
    one, two = make_beat(), make_beat()
    with patch.object(DatabaseScheduler, "tick", return_value=5.0) as stock:
        one.tick()
        two.tick()
        assert stock.call_count == 1
        BeatLease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        two._asks_at = float("-inf")
        two.tick()
        assert stock.call_count == 2, "what a lost beat held goes to another"
        one._asks_at = one._leads_until = float("-inf")
        one.tick()
        assert stock.call_count == 2, "and the lost one, when it wakes, asks before it runs anything"


def test_an_outage_of_the_database_ends_no_beat() -> None:
    beat = make_beat()
    make_due(make_schedule())
    with patch.object(scheduler_module, "fire_due", side_effect=OperationalError("gone")) as fire:
        assert beat.tick() == scheduler_module.RETRY_SECONDS
    fire.assert_called_once()


def test_a_beat_starts_while_the_database_is_away() -> None:
    with patch.object(DatabaseScheduler, "setup_schedule", side_effect=OperationalError("gone")):
        beat = make_beat()
    beat.tick()
    assert PeriodicTask.objects.filter(name="celery.backend_cleanup").exists(), "made up for"


def test_being_told_by_a_stock_beat_fires_what_is_due_and_nothing_else() -> None:
    due, not_due = make_schedule(make_deployment("a")), make_schedule(make_deployment("b"))
    make_due(due)
    for schedule in (due, not_due, due):
        fire_schedule(str(schedule.id))
    assert list(ExecutionLog.objects.values_list("schedule_id", flat=True)) == [due.id]
