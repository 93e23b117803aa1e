"""Schedules that pause themselves, what cannot be evaluated or stored, and tables that somebody else has changed."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from deployments.deploying import DeploymentChanges, undeploy, update_deployment
from deployments.executions.occurrences import new_occurrence
from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.scheduling import failing, planning
from deployments.scheduling.entries import mend_entries
from deployments.scheduling.failing import pause_broken, pause_when_failing
from deployments.scheduling.firing import fire_due, seconds_until_next
from deployments.tests.builders import make_deployment, make_queued, make_schedule

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
Commits = Callable[..., Any]


@pytest.fixture(autouse=True)
def early_in_the_minute() -> Iterator[None]:
    """Whether the last minute is on time or was missed must not depend on the second at which a test runs."""
    with time_machine.travel(datetime.now(UTC).replace(second=5)):
        yield


def last_minute() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


def shown(schedule: ScheduleConfig) -> list[str]:
    rows = ExecutionLog.objects.filter(schedule_id=schedule.id).order_by("scheduled_for")
    return [row.reason or row.status for row in rows]


def end(execution: ExecutionLog, status: str) -> None:
    ExecutionLog.objects.filter(id=execution.id).update(status=status, completed_at=timezone.now())


def rows(schedule: ScheduleConfig) -> list[ExecutionLog]:
    return list(ExecutionLog.objects.filter(schedule_id=schedule.id).order_by("scheduled_for"))


def make_due(schedule: ScheduleConfig) -> None:
    """As though its last minute had come and nobody had fired it."""
    due = last_minute()
    ScheduleConfig.objects.filter(id=schedule.id).update(next_occurrence_at=due, next_fire_at=due)


def two_due() -> tuple[ScheduleConfig, ScheduleConfig]:
    """Two schedules of every minute that are due; the first is a cron expression in a zone."""
    after = last_minute() - timedelta(seconds=1)
    first = make_schedule(make_deployment("first"), after=after, cron_expression="* * * * *", timezone="Europe/Paris")
    return first, make_schedule(make_deployment("second"), after=after)


def reload(schedule: ScheduleConfig) -> ScheduleConfig:
    return ScheduleConfig.objects.select_related("deployment").get(id=schedule.id)


def entry_of(schedule: ScheduleConfig) -> PeriodicTask:
    return PeriodicTask.objects.get(name=f"schedule {schedule.id}")


def failing_after(count: int, *, after: datetime) -> ScheduleConfig:
    """One that makes an execution for every minute since then."""
    return make_schedule(after=after, pause_after_failures=count, overlap="allow", catch_up="all")


class TestFailing:
    def test_failures_in_a_row_pause_the_schedule(self) -> None:
        schedule = make_schedule(
            after=last_minute() - 3 * MINUTE, pause_after_failures=2, overlap="allow", catch_up="all"
        )
        fire_due()
        first, second, *_ = [row for row in rows(schedule) if row.status == "queued"]
        end(first, "failed")
        assert not pause_when_failing(schedule_id=schedule.id)
        end(second, "failed")
        assert pause_when_failing(schedule_id=schedule.id)
        schedule.refresh_from_db()
        schedule.deployment.refresh_from_db()
        assert (schedule.paused_by, schedule.next_fire_at, schedule.deployment.status) == ("system", None, "error")
        assert "last 2 executions failed" in schedule.deployment.status_reason

    def test_a_success_between_failures_starts_the_count_again(self) -> None:
        schedule = make_schedule(
            after=last_minute() - 4 * MINUTE, pause_after_failures=2, overlap="allow", catch_up="all"
        )
        fire_due()
        queued = [row for row in rows(schedule) if row.status == "queued"]
        for row, status in zip(queued, ("failed", "completed", "failed"), strict=False):
            end(row, status)
        assert not pause_when_failing(schedule_id=schedule.id)

    def test_a_failing_schedule_whose_worker_died_is_paused_instead_of_fired(
        self, django_capture_on_commit_callbacks: Commits
    ) -> None:
        schedule = make_schedule(after=last_minute() - timedelta(seconds=1), pause_after_failures=1)
        fire_due()
        end(rows(schedule)[0], "failed")
        ExecutionLog.objects.update(scheduled_for=last_minute() - MINUTE)
        make_due(schedule)
        with django_capture_on_commit_callbacks(execute=True):
            assert fire_due() == 0
        schedule.refresh_from_db()
        assert schedule.paused_by == "system"

    def test_whoever_has_mended_it_meanwhile_is_not_paused_again(self) -> None:
        schedule = make_schedule(after=last_minute() - timedelta(seconds=1), pause_after_failures=1)
        fire_due()
        end(rows(schedule)[0], "failed")
        really_failing, asked = failing.is_failing, []

        def edit_after_the_first_answer(seen: ScheduleConfig) -> bool:
            answer = really_failing(seen)
            asked.append(answer)
            if len(asked) == 1:
                changes = DeploymentChanges(schedule={"interval_seconds": 120})
                update_deployment(deployment_id=schedule.deployment_id, changes=changes, by="user:ann")
            return answer

        with patch.object(failing, "is_failing", edit_after_the_first_answer):
            assert not pause_when_failing(schedule_id=schedule.id)
        assert asked == [True, False]
        assert (reload(schedule).paused_by, reload(schedule).deployment.status) == ("", "active")


class TestBroken:
    """A schedule for which nothing can be said or stored stops itself, says so, and stops no other."""

    def test_one_that_cannot_be_evaluated(self, django_capture_on_commit_callbacks: Commits) -> None:
        broken, other = two_due()
        ScheduleConfig.objects.filter(id=broken.id).update(timezone="Mars/Olympus")
        with django_capture_on_commit_callbacks(execute=True):
            fire_due()
        assert shown(other) == ["queued"]
        self.expect_stopped(broken, "Mars/Olympus")

    def test_one_whose_beat_died_before_it_was_paused(self, django_capture_on_commit_callbacks: Commits) -> None:
        broken, _ = two_due()
        ScheduleConfig.objects.filter(id=broken.id).update(timezone="Mars/Olympus")
        fire_due()  # the test's transaction never commits: what follows a commit does not happen
        assert reload(broken).next_fire_at is not None, "it would be forgotten"
        with django_capture_on_commit_callbacks(execute=True):
            fire_due()
        self.expect_stopped(broken, "Mars/Olympus")

    def test_one_that_breaks_our_own_code(self, django_capture_on_commit_callbacks: Commits) -> None:
        broken, other = two_due()

        def new(*, schedule: ScheduleConfig, **how: Any) -> ExecutionLog:
            if schedule.id == broken.id:
                raise ZeroDivisionError
            return new_occurrence(schedule=schedule, **how)

        with patch.object(planning, "new_occurrence", new), django_capture_on_commit_callbacks(execute=True):
            fire_due()
        assert shown(other) == ["queued"]
        self.expect_stopped(broken, "internal error")

    def test_one_whose_execution_cannot_be_stored(self, django_capture_on_commit_callbacks: Commits) -> None:
        broken, other = two_due()
        taken = make_queued().id

        def new(*, schedule: ScheduleConfig, **how: Any) -> ExecutionLog:
            made = new_occurrence(schedule=schedule, **how)
            if schedule.id == broken.id:
                made.id = taken
            return made

        with patch.object(planning, "new_occurrence", new), django_capture_on_commit_callbacks(execute=True):
            fire_due()
        assert shown(other) == ["queued"]
        self.expect_stopped(broken, "internal error")

    def test_it_can_still_be_changed(self) -> None:
        broken, _ = two_due()
        taken = make_queued().id

        def new(**how: Any) -> ExecutionLog:
            made = new_occurrence(**how)
            made.id = taken
            return made

        with patch.object(planning, "new_occurrence", new):
            update_deployment(
                deployment_id=broken.deployment_id, changes=DeploymentChanges(schedule={"enabled": False}), by="user:a"
            )
        assert reload(broken).next_fire_at is None

    def test_whoever_has_mended_it_meanwhile_finds_it_in_force(self) -> None:
        broken, _ = two_due()
        changes = DeploymentChanges(schedule={"timezone": "Europe/Rome"})
        update_deployment(deployment_id=broken.deployment_id, changes=changes, by="user:ann")
        assert not pause_broken(schedule_id=broken.id, reason="There is no such zone.")
        assert reload(broken).paused_at is None

    def expect_stopped(self, broken: ScheduleConfig, because: str) -> None:
        stopped = reload(broken)
        assert (shown(broken), stopped.next_fire_at, stopped.paused_by) == ([], None, "system")
        assert because in stopped.paused_reason
        assert (stopped.deployment.status, stopped.deployment.status_reason) == ("error", stopped.paused_reason)
        assert not entry_of(broken).enabled
        assert seconds_until_next() is not None, "the other goes on"


class TestChangedPastUs:
    """Somebody has written to the tables directly."""

    @pytest.mark.parametrize("change", ["enabled", "paused_at", "status", "deleted_at"])
    def test_what_is_not_in_force_any_more_does_not_fire(self, change: str) -> None:
        schedule, other = two_due()
        match change:
            case "enabled":
                ScheduleConfig.objects.filter(id=schedule.id).update(enabled=False)
            case "paused_at":
                ScheduleConfig.objects.filter(id=schedule.id).update(paused_at=timezone.now())
            case "status":
                Deployment.objects.filter(id=schedule.deployment_id).update(status="inactive")
            case _:
                Deployment.objects.filter(id=schedule.deployment_id).update(deleted_at=timezone.now())
        fire_due()
        assert (shown(schedule), shown(other)) == ([], ["queued"])
        until_next = seconds_until_next()
        assert until_next is not None
        assert until_next > 0, "a beat would never rest"
        assert not entry_of(schedule).enabled

    def test_what_should_be_in_force_and_has_no_next_time_gets_one(self) -> None:
        """As schedules have it that were stored before they could fire."""
        schedule, over, off = (make_schedule(make_deployment(path)) for path in ("a", "b", "c"))
        PeriodicTask.objects.all().delete()
        ScheduleConfig.objects.update(next_occurrence_at=None, next_fire_at=None, in_force_since=None)
        ScheduleConfig.objects.filter(id=over.id).update(end_at=timezone.now() - MINUTE)
        ScheduleConfig.objects.filter(id=off.id).update(enabled=False)
        assert mend_entries() == 3
        assert reload(schedule).next_fire_at == last_minute() + MINUTE
        assert (entry_of(schedule).enabled, entry_of(over).enabled, entry_of(off).enabled) == (True, False, False)
        assert mend_entries() == 0

    def test_entries_that_were_switched_removed_or_made_up_are_mended(self) -> None:
        switched, removed, cascaded = (
            make_schedule(make_deployment(path), cron_expression=cron)
            for path, cron in (("a", "0 9 * * *"), ("b", "0 9 * * *"), ("c", "5 5 5 * *"))
        )
        made_up = PeriodicTask.objects.create(
            name="mine",
            task="deployments.fire_schedule",
            interval=IntervalSchedule.objects.create(every=1, period="days"),
        )
        PeriodicTask.objects.filter(id=entry_of(switched).id).update(enabled=False)
        entry_of(removed).delete()
        CrontabSchedule.objects.get(day_of_month="5").delete()
        assert not PeriodicTask.objects.filter(name=f"schedule {cascaded.id}").exists()
        assert mend_entries() == 4
        assert all(entry_of(schedule).enabled for schedule in (switched, removed, cascaded))
        assert not PeriodicTask.objects.filter(id=made_up.id).exists()
        assert mend_entries() == 0

    def test_foreign_entries_are_left_alone(self) -> None:
        interval = IntervalSchedule.objects.create(every=1, period="days")
        PeriodicTask.objects.create(name="theirs", task="their.task", interval=interval)
        assert mend_entries() == 0
        assert PeriodicTask.objects.filter(name="theirs").exists()

    def test_two_equal_intervals_in_beats_tables_are_no_reason_to_refuse_a_third(self) -> None:
        for _ in range(2):
            IntervalSchedule.objects.create(every=60, period="seconds")
        assert entry_of(make_schedule(interval_seconds=60)).interval.every == 60


def test_a_schedule_that_is_over_shows_so_in_beats_tables() -> None:
    schedule = make_schedule(after=last_minute() - timedelta(seconds=1), end_at=last_minute() + timedelta(seconds=30))
    changed = PeriodicTasks.last_change()
    fire_due()
    assert (shown(schedule), reload(schedule).next_fire_at) == (["queued"], None)
    assert not entry_of(schedule).enabled
    assert PeriodicTasks.last_change() > changed, "a stock beat has to hear of it"


def test_undeploying_leaves_nothing_queued_and_nothing_to_fire(django_capture_on_commit_callbacks: Commits) -> None:
    schedule, other = two_due()
    make_due(schedule)
    with django_capture_on_commit_callbacks(execute=True):
        undeploy(deployment_id=schedule.deployment_id, by="user:ann")
        # What a beat has made of it while the undeployment waited for its lock.
        late = make_queued(schedule.deployment)
    late.refresh_from_db()
    assert late.status == "cancelled"
    fire_due()
    assert (shown(schedule), shown(other)) == (["cancelled"], ["queued"]), "it came before the end, and has its row"
    assert not PeriodicTask.objects.filter(name__contains=str(schedule.id)).exists()
