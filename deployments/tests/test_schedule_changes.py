"""Pausing, resuming and running by hand; and that what was previewed is what fires."""

import threading
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from deployments.deploying import DeploymentChanges, undeploy, update_deployment
from deployments.executions.admission import ConcurrencyLimitReached
from deployments.models import ExecutionLog, ScheduleConfig
from deployments.scheduling.changes import pause_schedule, resume_schedule, run_schedule_now
from deployments.scheduling.errors import InvalidSchedule, ScheduleGone
from deployments.scheduling.firing import fire_due
from deployments.scheduling.preview import preview_schedule
from deployments.tests.builders import make_deployment, make_queued, make_schedule, make_version, one_agent_document

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def this_minute() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


def times(schedule: ScheduleConfig) -> list[datetime | None]:
    """The scheduled times that have a row, in order."""
    rows = ExecutionLog.objects.filter(schedule_id=schedule.id).order_by("scheduled_for")
    return list(rows.values_list("scheduled_for", flat=True))


def paused_since(moment: datetime, **fields: Any) -> ScheduleConfig:
    """A schedule of every minute that was paused then."""
    schedule = make_schedule(after=moment, **fields)
    paused = pause_schedule(schedule=schedule, by="user:ann", reason="")
    ExecutionLog.objects.all().delete()
    ScheduleConfig.objects.filter(id=schedule.id).update(paused_at=moment, in_force_since=moment)
    paused.refresh_from_db()
    return paused


@pytest.mark.django_db
class TestPausing:
    def test_a_paused_schedule_fires_no_more(self) -> None:
        schedule = make_schedule()
        paused = pause_schedule(schedule=schedule, by="user:ann", reason="Holidays.")
        assert (paused.paused_by, paused.paused_reason) == ("user:ann", "Holidays.")
        assert paused.paused_at is not None
        assert (paused.next_occurrence_at, paused.next_fire_at) == (None, None)
        assert not PeriodicTask.objects.get(name=f"schedule {schedule.id}").enabled
        with patch("deployments.scheduling.firing.timezone.now", return_value=timezone.now() + HOUR):
            assert fire_due() == 0

    def test_what_came_due_before_the_pause_still_fires(self) -> None:
        schedule = make_schedule(after=this_minute() - timedelta(seconds=1))
        pause_schedule(schedule=schedule, by="user:ann", reason="")
        assert times(schedule)[0] == this_minute()

    def test_who_paused_it_first_stays(self) -> None:
        schedule = make_schedule()
        first = pause_schedule(schedule=schedule, by="user:ann", reason="Holidays.")
        second = pause_schedule(schedule=schedule, by="user:bob", reason="Also.")
        assert (second.paused_by, second.paused_reason, second.paused_at) == ("user:ann", "Holidays.", first.paused_at)

    def test_a_schedule_that_is_gone_says_so(self) -> None:
        removed, undeployed = make_schedule(make_deployment("one")), make_schedule(make_deployment("two"))
        update_deployment(deployment_id=removed.deployment_id, changes=DeploymentChanges(schedule=None), by="user:ann")
        undeploy(deployment_id=undeployed.deployment_id, by="user:ann")
        for schedule in (removed, undeployed):
            with pytest.raises(ScheduleGone, match="no schedule"):
                pause_schedule(schedule=schedule, by="user:ann", reason="")
            with pytest.raises(ScheduleGone):
                resume_schedule(schedule=schedule, by="user:ann", catch_up=None)

    def test_a_pause_by_a_person_outlives_that_the_deployment_is_inactive(self) -> None:
        schedule = make_schedule()
        pause_schedule(schedule=schedule, by="user:ann", reason="")
        for status in ("inactive", "active"):
            update_deployment(
                deployment_id=schedule.deployment_id,
                changes=DeploymentChanges(status=status),
                by="user:bob",
            )
        schedule.refresh_from_db()
        assert (schedule.paused_by, schedule.next_fire_at) == ("user:ann", None)


@pytest.mark.django_db
class TestResuming:
    @pytest.mark.parametrize("catch_up", ["none", None])
    def test_it_goes_on_with_the_next_time(self, catch_up: str | None) -> None:
        schedule = paused_since(this_minute() - 10 * MINUTE)
        resumed = resume_schedule(schedule=schedule, by="user:ann", catch_up=catch_up)
        assert (resumed.paused_by, resumed.paused_reason, resumed.paused_at) == ("", "", None)
        assert resumed.next_occurrence_at is not None
        assert timedelta(0) < resumed.next_occurrence_at - timezone.now() <= MINUTE
        assert PeriodicTask.objects.get(name=f"schedule {schedule.id}").enabled
        assert times(schedule) == []

    def test_latest_runs_the_last_time_of_the_pause(self) -> None:
        schedule = paused_since(this_minute() - 10 * MINUTE)
        resumed = resume_schedule(schedule=schedule, by="user:ann", catch_up="latest")
        [row] = ExecutionLog.objects.filter(schedule_id=schedule.id)
        assert (row.status, row.trigger_type) == ("queued", "scheduled")
        assert row.scheduled_for is not None
        assert timedelta(0) <= timezone.now() - row.scheduled_for < 2 * MINUTE
        assert resumed.next_occurrence_at == row.scheduled_for + MINUTE

    def test_all_runs_every_time_of_the_pause_one_after_the_other(self) -> None:
        began = this_minute() - 10 * MINUTE
        schedule = paused_since(began, overlap="skip")
        with patch("django.utils.timezone.now", return_value=began + 10 * MINUTE + timedelta(seconds=40)):
            resume_schedule(schedule=schedule, by="user:ann", catch_up="all")
        assert times(schedule) == [began + number * MINUTE for number in range(1, 11)]
        assert set(ExecutionLog.objects.values_list("status", flat=True)) == {"queued"}
        assert ExecutionLog.objects.filter(waits_for_previous=False).count() == 1

    def test_what_is_older_than_the_window_stays_undone(self) -> None:
        schedule = paused_since(this_minute() - 10 * MINUTE, catch_up_window_seconds=200)
        resume_schedule(schedule=schedule, by="user:ann", catch_up="all")
        assert 3 <= len(times(schedule)) <= 4

    def test_what_was_edited_meanwhile_is_caught_up_from_the_edit_on(self) -> None:
        schedule = paused_since(this_minute() - 30 * MINUTE, interval_seconds=600)
        edited = DeploymentChanges(schedule={"interval_seconds": 1})
        update_deployment(deployment_id=schedule.deployment_id, changes=edited, by="user:bob")
        began = timezone.now()
        resume_schedule(schedule=schedule, by="user:ann", catch_up="all")
        assert all(time is not None and time > began - MINUTE for time in times(schedule))
        assert len(times(schedule)) < 60

    def test_of_a_long_pause_a_hundred_times_are_caught_up(self) -> None:
        schedule = paused_since(timezone.now(), interval_seconds=1, catch_up_window_seconds=604_800)
        long_ago = timezone.now() - timedelta(days=6)
        ScheduleConfig.objects.update(paused_at=long_ago, in_force_since=long_ago)
        resumed = resume_schedule(schedule=schedule, by="user:ann", catch_up="all")
        assert 100 <= len(times(schedule)) <= 105  # and the seconds that this has taken
        assert resumed.next_occurrence_at is not None
        assert resumed.next_occurrence_at > timezone.now() - MINUTE

    def test_the_choice_is_for_this_once(self) -> None:
        schedule = paused_since(this_minute() - 10 * MINUTE, catch_up="none")
        assert resume_schedule(schedule=schedule, by="user:ann", catch_up="all").catch_up == "none"
        schedule.refresh_from_db()
        assert schedule.catch_up == "none"

    def test_what_is_not_paused_stays_as_it_is(self) -> None:
        schedule = make_schedule()
        before = vars(ScheduleConfig.objects.get()).copy()
        resume_schedule(schedule=schedule, by="user:ann", catch_up="all")
        after = vars(ScheduleConfig.objects.get())
        assert {name: after[name] for name in before if name != "_state"} == {
            name: before[name] for name in before if name != "_state"
        }
        assert times(schedule) == []

    def test_what_cannot_be_evaluated_says_why_and_stays_paused(self) -> None:
        schedule = paused_since(this_minute() - 10 * MINUTE)
        ScheduleConfig.objects.update(timezone="Mars/Olympus")
        with pytest.raises(InvalidSchedule, match="Mars/Olympus"):
            resume_schedule(schedule=schedule, by="user:ann", catch_up=None)
        assert ScheduleConfig.objects.get().paused_at is not None


@pytest.mark.django_db
class TestRunningNow:
    def test_it_runs_with_its_input_and_stays_where_it_is(self) -> None:
        schedule = make_schedule(input_data={"b": 1, "a": 2})
        pause_schedule(schedule=schedule, by="user:ann", reason="")
        before = ScheduleConfig.objects.values().get()
        execution = run_schedule_now(schedule=schedule, by="user:ann")
        execution.refresh_from_db()
        assert (execution.trigger_type, execution.triggered_by) == ("manual", "user:ann")
        assert (list(execution.input_data), execution.scheduled_for, execution.schedule) == (["b", "a"], None, None)
        assert ScheduleConfig.objects.values().get() == before

    def test_an_input_that_the_version_does_not_take_is_refused(self) -> None:
        document = one_agent_document() | {"input_schema": {"type": "object", "required": ["text"]}}
        schedule = make_schedule(make_deployment(version=make_version(document)))
        with pytest.raises(InvalidSchedule) as refused:
            run_schedule_now(schedule=schedule, by="user:ann")
        assert [problem.pointer for problem in refused.value.problems] == ["/input_data/text"]
        assert not ExecutionLog.objects.exists()

    def test_a_full_deployment_refuses(self) -> None:
        deployment = make_deployment(max_concurrent=1, when_full="reject")
        make_queued(deployment)
        with pytest.raises(ConcurrencyLimitReached):
            run_schedule_now(schedule=make_schedule(deployment), by="user:ann")


#: A zone, and a moment some hours before its clocks are changed; where they never are, before those of Paris are.
EVENINGS_BEFORE_CHANGES = [
    ("Europe/Paris", "2025-03-29T20:00:00+00:00"),
    ("Europe/Paris", "2025-10-25T20:00:00+00:00"),
    ("America/New_York", "2025-03-09T01:00:00+00:00"),
    ("America/New_York", "2025-11-02T01:00:00+00:00"),
    ("Australia/Lord_Howe", "2025-04-05T10:00:00+00:00"),
    ("Australia/Lord_Howe", "2025-10-04T10:00:00+00:00"),
    ("Asia/Kolkata", "2025-03-29T20:00:00+00:00"),
    ("Asia/Kolkata", "2025-10-25T20:00:00+00:00"),
    ("UTC", "2025-03-29T20:00:00+00:00"),
    ("UTC", "2025-10-25T20:00:00+00:00"),
]


@pytest.mark.django_db
class TestWhatWasPreviewedFires:
    @pytest.mark.parametrize(
        "fields",
        [
            {"cron_expression": "*/7 * * * *", "timezone": "Australia/Lord_Howe"},
            {"cron_expression": "3,33 */2 * * *", "timezone": "Europe/Paris", "jitter_seconds": 240},
            {"interval_seconds": 97, "jitter_seconds": 45},
            {"cron_expression": "0 2 13 * 5", "day_match": "or", "timezone": "America/New_York"},
        ],
        ids=lambda fields: str(list(fields.values())),
    )
    def test_time_by_time(self, fields: dict[str, Any]) -> None:
        """At each moment that was previewed, over a change of the clocks, the time that was previewed fires."""
        expect_what_is_previewed(datetime.fromisoformat("2025-10-25T20:00:00+00:00"), count=40, **fields)

    @pytest.mark.parametrize("cron", ["30 1 * * *", "15 2 * * *", "*/20 1-2 * * *", "10 * * * *"])
    @pytest.mark.parametrize(("zone", "evening"), EVENINGS_BEFORE_CHANGES)
    def test_over_both_changes_of_a_year(self, zone: str, evening: str, cron: str) -> None:
        """Fixed, in steps and every hour, on the night of the change and on the next."""
        expect_what_is_previewed(datetime.fromisoformat(evening), count=8, cron_expression=cron, timezone=zone)


def expect_what_is_previewed(began: datetime, *, count: int, **fields: Any) -> None:
    """That it fires at each moment of the preview, and not a millisecond before it."""
    schedule = make_schedule(after=began, overlap="allow", **fields)
    runs = preview_schedule(schedule, count=count, after=began).runs
    for run in runs:
        assert run.fires_at is not None
        schedule.refresh_from_db()
        assert (schedule.next_occurrence_at, schedule.next_fire_at) == (run.utc, run.fires_at)
        for moment, fired in ((run.fires_at - timedelta(milliseconds=1), 0), (run.fires_at, 1)):
            with patch("deployments.scheduling.firing.timezone.now", return_value=moment):
                assert fire_due() == fired
    assert times(schedule) == [run.utc for run in runs]


@pytest.mark.django_db
def test_a_row_that_cannot_be_evaluated_is_previewed_with_the_reason() -> None:
    schedule = make_schedule(cron_expression="0 9 * * *")
    for name, value in (("timezone", "Mars/Olympus"), ("cron_expression", "5-7")):
        ScheduleConfig.objects.update(**{name: value})
        schedule.refresh_from_db()
        preview = preview_schedule(schedule, count=5, after=timezone.now())
        assert list(preview.runs) == []
        assert f"/{name}" in [problem.pointer for problem in preview.problems]


@pytest.mark.django_db(transaction=True)
def test_of_several_who_resume_at_once_one_catches_up() -> None:
    schedule = paused_since(this_minute() - 10 * MINUTE)

    def resume(schedule_id: UUID) -> None:
        try:
            mine = ScheduleConfig.objects.get(id=schedule_id)
            resume_schedule(schedule=mine, by="user:ann", catch_up="latest")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=resume, args=(schedule.id,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times(schedule)) == 1
    assert ScheduleConfig.objects.get().paused_at is None
