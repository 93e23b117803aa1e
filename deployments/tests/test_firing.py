"""What is due fires, once; every scheduled time while a schedule is in force has one row, ran or skipped and why."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from deployments.deploying import DeploymentChanges, update_deployment
from deployments.executions import lifecycle
from deployments.models import ExecutionEvent, ExecutionLog, ScheduleConfig
from deployments.scheduling import firing, planning
from deployments.scheduling.firing import fire_due, seconds_until_next
from deployments.scheduling.followers import release_followers
from deployments.scheduling.times import Timetable
from deployments.tests.builders import make_deployment, make_schedule

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def early_in_the_minute() -> Iterator[None]:
    """Whether the last minute is on time or was missed must not depend on the second at which a test runs."""
    with time_machine.travel(datetime.now(UTC).replace(second=5)):
        yield


def last_minute() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


def rows(schedule: ScheduleConfig) -> list[ExecutionLog]:
    return list(ExecutionLog.objects.filter(schedule_id=schedule.id).order_by("scheduled_for"))


def shown(schedule: ScheduleConfig) -> list[str]:
    return [row.reason or row.status for row in rows(schedule)]


def end(execution: ExecutionLog, status: str = "completed") -> None:
    ExecutionLog.objects.filter(id=execution.id).update(status=status, completed_at=timezone.now())


def make_due(schedule: ScheduleConfig) -> None:
    """As though its last minute had come and nobody had fired it."""
    due = last_minute()
    ScheduleConfig.objects.filter(id=schedule.id).update(next_occurrence_at=due, next_fire_at=due)


def test_a_time_that_is_due_makes_one_execution_and_moves_the_schedule_on() -> None:
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1), input_data={"b": 1, "a": 2})
    assert fire_due() == 1
    assert fire_due() == 0
    [row] = rows(schedule)
    assert (row.status, row.trigger_type, row.triggered_by) == ("queued", "scheduled", "schedule")
    assert (row.scheduled_for, list(row.input_data)) == (last_minute(), ["b", "a"])
    assert row.deadline_at is not None
    assert list(ExecutionEvent.objects.filter(execution=row).values_list("type", "seq")) == [("execution.accepted", 1)]
    schedule.refresh_from_db()
    assert schedule.next_occurrence_at == last_minute() + MINUTE
    until = seconds_until_next()
    assert until is not None
    assert 0 < until <= 60


def test_what_is_fired_is_published_after_the_commit(django_capture_on_commit_callbacks) -> None:  # type: ignore[no-untyped-def]
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1))
    publisher = "deployments.executions.publisher.publisher.publish"
    with patch(publisher) as publish, django_capture_on_commit_callbacks(execute=True):
        fire_due()
        publish.assert_not_called()
    publish.assert_called_once_with(rows(schedule)[0].id, 0, traceparent="")


def test_a_time_has_one_row_even_when_the_clock_is_set_back() -> None:
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1))
    fire_due()
    make_due(schedule)
    assert fire_due() == 0
    assert len(rows(schedule)) == 1
    schedule.refresh_from_db()
    assert (schedule.paused_at, schedule.next_occurrence_at) == (None, last_minute() + MINUTE), "it goes on"


def test_a_time_that_has_its_row_holds_up_none_of_the_many_beside_it() -> None:
    schedules = [make_schedule(make_deployment(f"d{n}"), after=last_minute() - timedelta(seconds=1)) for n in range(12)]
    fire_due(schedule_id=schedules[5].id)
    make_due(schedules[5])
    assert fire_due() == 11
    assert fire_due() == 0
    for schedule in schedules:
        assert shown(schedule) == ["queued"]
        schedule.refresh_from_db()
        assert (schedule.paused_at, schedule.next_occurrence_at) == (None, last_minute() + MINUTE)


def test_schedules_that_fire_together_each_go_on_at_their_own_next_time() -> None:
    """Many that go on alike are written by one statement, the others each by itself."""
    seconds = [60, 60, 60, 60, 60, 120, 120, 120, 120, 7200]
    schedules = [
        make_schedule(make_deployment(f"d{n}"), interval_seconds=each, start_at=last_minute())
        for n, each in enumerate(seconds)
    ]
    for schedule in schedules:
        make_due(schedule)
    assert fire_due() == len(seconds)
    for schedule, each in zip(schedules, seconds, strict=True):
        schedule.refresh_from_db()
        expected = last_minute() + timedelta(seconds=each)
        assert (schedule.next_occurrence_at, schedule.next_fire_at) == (expected, expected)


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("none", ["missed"] * 4 + ["queued"]),
        ("latest", ["missed"] * 4 + ["queued"]),
        ("all", ["missed", "queued", "queued", "queued", "queued"]),
    ],
)
def test_after_an_outage_every_time_has_its_row(catch_up: str, expected: list[str]) -> None:
    with patch("deployments.scheduling.firing.timezone.now", return_value=last_minute() + timedelta(seconds=5)):
        schedule = make_schedule(
            after=last_minute() - 5 * MINUTE, catch_up=catch_up, overlap="allow", catch_up_window_seconds=200
        )
        fire_due()
    assert shown(schedule) == expected
    skipped = rows(schedule)[0]
    assert skipped.completed_at is not None
    assert list(ExecutionEvent.objects.filter(execution=skipped).values_list("type", "payload")) == [
        ("execution.skipped", {"reason": "missed"})
    ]


def test_a_long_outage_of_a_quick_schedule_is_seen_to_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "TIMES_AT_ONCE", 10)
    monkeypatch.setattr(planning, "MAX_CAUGHT_UP", 5)
    began = timezone.now().replace(microsecond=0)
    schedule = make_schedule(interval_seconds=1, after=began - timedelta(seconds=100))
    while (until := seconds_until_next()) is not None and until <= 0:
        fire_due()
    times = [row.scheduled_for for row in rows(schedule)]
    assert times == [began + timedelta(seconds=second - 99) for second in range(len(times))]
    assert len(times) >= 100
    assert set(shown(schedule)) == {"missed", "queued", "overlap"}


def test_skipped_times_are_not_counted_as_executions() -> None:
    schedule = make_schedule(after=last_minute() - 5 * MINUTE, catch_up="none")
    fire_due()
    schedule.deployment.refresh_from_db()
    assert "missed" in shown(schedule)
    assert (schedule.deployment.execution_count, schedule.deployment.last_execution_at) == (0, None)


def test_an_earlier_run_that_has_not_ended_makes_the_next_one_skip() -> None:
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1))
    fire_due()
    ExecutionLog.objects.update(scheduled_for=last_minute() - MINUTE)
    make_due(schedule)
    fire_due()
    assert shown(schedule) == ["queued", "overlap"]


def test_one_that_waits_starts_when_the_earlier_one_has_ended() -> None:
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1), overlap="queue_one")
    fire_due()
    ExecutionLog.objects.update(scheduled_for=last_minute() - MINUTE)
    make_due(schedule)
    fire_due()
    first, second = rows(schedule)
    assert (second.status, second.waits_for_previous, second.deadline_at) == ("queued", True, None)
    fence = lifecycle.Fence(second.id, 1, "worker")
    with transaction.atomic():
        assert lifecycle.claim({fence: 2}, started_at=timezone.now()) == set(), "no worker may take it yet"
    assert release_followers() == 0
    end(first)
    assert release_followers() == 1
    second.refresh_from_db()
    assert not second.waits_for_previous
    assert second.deadline_at is not None
    with transaction.atomic():
        assert lifecycle.claim({fence: 2}, started_at=timezone.now()) == {second.id}


def test_those_that_wait_start_one_after_the_other() -> None:
    with patch("deployments.scheduling.firing.timezone.now", return_value=last_minute() + timedelta(seconds=5)):
        schedule = make_schedule(after=last_minute() - 4 * MINUTE, catch_up="all")
        fire_due()
    waiting = [row for row in rows(schedule) if row.waits_for_previous]
    assert len(waiting) >= 2
    for row in [row for row in rows(schedule) if not row.waits_for_previous and row.status == "queued"]:
        end(row)
    assert release_followers() == 1
    assert release_followers() == 0
    waiting[0].refresh_from_db()
    assert not waiting[0].waits_for_previous, "the oldest first"


def test_cancel_previous_cancels_and_then_runs(django_capture_on_commit_callbacks) -> None:  # type: ignore[no-untyped-def]
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1), overlap="cancel_previous")
    fire_due()
    ExecutionLog.objects.update(scheduled_for=last_minute() - MINUTE)
    make_due(schedule)
    with django_capture_on_commit_callbacks(execute=True):
        fire_due()
    assert shown(schedule) == ["cancelled", "queued"]
    assert rows(schedule)[0].cancel_requested_by == "schedule"
    assert release_followers() == 1


def test_a_beat_that_died_before_it_cancelled_is_made_up_for() -> None:
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1), overlap="cancel_previous")
    fire_due()
    ExecutionLog.objects.update(scheduled_for=last_minute() - MINUTE)
    make_due(schedule)
    fire_due()  # the test's transaction never commits: what follows a commit does not happen
    assert shown(schedule) == ["queued", "queued"]
    release_followers()
    assert shown(schedule) == ["cancelled", "queued"]


def test_what_was_caught_up_one_after_the_other_cancels_nothing_for_it() -> None:
    with patch("deployments.scheduling.firing.timezone.now", return_value=last_minute() + timedelta(seconds=50)):
        schedule = make_schedule(after=last_minute() - 3 * MINUTE, catch_up="all", overlap="cancel_previous")
        fire_due()
    assert len(rows(schedule)) == 3
    release_followers()
    assert shown(schedule) == ["queued"] * 3


def test_an_edit_to_cancel_previous_cancels_nothing_itself() -> None:
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1), overlap="queue_one")
    fire_due()
    ExecutionLog.objects.update(scheduled_for=last_minute() - MINUTE)
    make_due(schedule)
    fire_due()
    changes = DeploymentChanges(schedule={"overlap": "cancel_previous"})
    update_deployment(deployment_id=schedule.deployment_id, changes=changes, by="user:ann")
    release_followers()
    assert shown(schedule) == ["queued", "queued"]


def test_one_that_waits_for_the_one_before_it_needs_no_place_of_its_own() -> None:
    deployment = make_deployment(max_concurrent=1, when_full="reject")
    schedule = make_schedule(deployment, after=last_minute() - timedelta(seconds=1), overlap="cancel_previous")
    fire_due()
    ExecutionLog.objects.update(scheduled_for=last_minute() - MINUTE)
    make_due(schedule)
    fire_due()
    release_followers()
    assert shown(schedule) == ["cancelled", "queued"]


def test_a_deployment_that_rejects_what_is_too_much_skips_the_time() -> None:
    deployment = make_deployment(max_concurrent=1, when_full="reject")
    schedule = make_schedule(deployment, after=last_minute() - timedelta(seconds=1), overlap="allow")
    fire_due()
    ExecutionLog.objects.update(scheduled_for=last_minute() - MINUTE)
    make_due(schedule)
    fire_due()
    assert shown(schedule) == ["queued", "limit"]


@pytest.mark.parametrize("fields", [{"enabled": False}, {"paused_at": timezone.now()}])
def test_what_is_not_in_force_has_no_next_time_and_no_rows(fields: dict[str, Any]) -> None:
    schedule = make_schedule(after=last_minute() - 5 * MINUTE, **fields)
    assert fire_due() == 0
    assert (schedule.next_occurrence_at, seconds_until_next()) == (None, None)
    assert not PeriodicTask.objects.get(name__startswith="schedule").enabled


def id_with_a_long_delay(**fields: Any) -> UUID:
    """The delay is drawn from the id: one with which the next time is half an hour late."""
    for number in range(100):
        timetable = Timetable.of(ScheduleConfig(id=UUID(int=number), **fields))
        occurrence = next(timetable.after(timezone.now()))
        if timetable.fires_at(occurrence) - occurrence > 30 * MINUTE:
            return UUID(int=number)
    raise AssertionError("The draw is not even.")


@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
def test_a_long_jitter_is_no_lateness(catch_up: str) -> None:
    fields: dict[str, Any] = {"interval_seconds": 7200, "jitter_seconds": 3600}
    schedule = make_schedule(id=id_with_a_long_delay(**fields), catch_up=catch_up, catch_up_window_seconds=1, **fields)
    assert schedule.next_fire_at is not None
    with patch("deployments.scheduling.firing.timezone.now", return_value=schedule.next_fire_at):
        fire_due()
    assert shown(schedule) == ["queued"]


def test_jitter_delays_the_run_and_not_its_scheduled_time() -> None:
    schedule = make_schedule(after=last_minute() - MINUTE, jitter_seconds=30)
    assert schedule.next_occurrence_at is not None
    assert schedule.next_fire_at is not None
    delay = schedule.next_fire_at - schedule.next_occurrence_at
    assert timedelta(0) <= delay <= timedelta(seconds=30)
    with patch("deployments.scheduling.firing.timezone.now", return_value=schedule.next_fire_at - timedelta(seconds=1)):
        assert fire_due() == 0
    with patch("deployments.scheduling.firing.timezone.now", return_value=schedule.next_fire_at):
        assert fire_due() == 1
    assert rows(schedule)[0].scheduled_for == schedule.next_occurrence_at


def test_many_schedules_fire_in_a_handful_of_statements() -> None:
    for number in range(30):
        make_schedule(make_deployment(f"d{number}"), after=last_minute() - timedelta(seconds=1))
    with CaptureQueriesContext(connection) as queries:
        assert fire_due() == 30
    statements = [query["sql"].split(" ")[0] for query in queries]
    assert len(statements) <= 12, statements


def test_all_that_is_due_fires_however_many_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "SCHEDULES_AT_ONCE", 2)
    for number in range(5):
        make_schedule(make_deployment(f"d{number}"), after=last_minute() - timedelta(seconds=1))
    assert (fire_due(), fire_due()) == (5, 0)


def test_the_admin_of_beat_shows_when_it_ran() -> None:
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1))
    fire_due()
    entry = PeriodicTask.objects.get(name=f"schedule {schedule.id}")
    assert (entry.total_run_count, entry.enabled) == (1, True)
    assert entry.last_run_at is not None
