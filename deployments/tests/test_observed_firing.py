"""Who measures and traces is told of each scheduled time: before its row is written, and once it is stored."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import UUID

import pytest
import time_machine
from django.utils import timezone

from deployments import telemetry
from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.prepared_statements import ROWS_TO_COPY
from deployments.scheduling.firing import fire_before_change, fire_due
from deployments.telemetry import ObservedFiring, Observer
from deployments.tests.builders import make_deployment, make_queued, make_schedule

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@dataclass
class Told:
    """What was told of one scheduled time; it gives it a trace of its own."""

    firing: ObservedFiring
    breaks: bool = False
    stored_at: datetime | None = None

    @property
    def traceparent(self) -> str:
        return f"00-{self.firing.execution_id.hex}-b7ad6b7169203331-01"

    def end(self, at: datetime) -> None:
        if self.breaks:
            raise ZeroDivisionError
        self.stored_at = at


@dataclass
class Listener(Observer):
    """An observer that remembers what it was told, and that breaks when it is asked to."""

    breaks_at: str = ""
    told: list[Told] = field(default_factory=list)

    def follow_firing(self, firing: ObservedFiring) -> Told:
        if self.breaks_at == "begin":
            raise ZeroDivisionError
        self.told.append(Told(firing, breaks=self.breaks_at == "end"))
        return self.told[-1]

    @property
    def stored(self) -> list[UUID]:
        return [each.firing.execution_id for each in self.told if each.stored_at is not None]


@pytest.fixture(autouse=True)
def early_in_the_minute() -> Iterator[None]:
    """A moment at which the last minute was five seconds ago."""
    with time_machine.travel(datetime.now(UTC).replace(second=5, microsecond=0), tick=False):
        yield


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    listener = Listener()
    monkeypatch.setattr(telemetry, "observers", lambda: (listener,))
    return listener


def last_minute() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


def make_late(deployment: Deployment | None = None, **fields: object) -> ScheduleConfig:
    """A schedule whose last minute nobody has fired."""
    return make_schedule(deployment, after=last_minute() - timedelta(seconds=1), **fields)


def test_a_time_is_told_of_before_it_is_stored_and_its_end_after(  # type: ignore[no-untyped-def]
    listener: Listener, django_capture_on_commit_callbacks
) -> None:
    schedule = make_late()
    with django_capture_on_commit_callbacks(execute=True):
        fire_due()
        assert listener.stored == []
    [told], [row] = listener.told, ExecutionLog.objects.all()
    assert told.firing == ObservedFiring(
        row.id, schedule.id, schedule.deployment_id, "/api/deployed/greet", last_minute(), fires_at=last_minute()
    )
    assert told.stored_at == timezone.now()


def test_each_time_has_a_trace_of_its_own_and_its_workers_are_told_on_behalf_of_it(  # type: ignore[no-untyped-def]
    listener: Listener, django_capture_on_commit_callbacks
) -> None:
    """As many as PostgreSQL is given by COPY."""
    for number in range(ROWS_TO_COPY + 1):
        make_late(make_deployment(f"d{number}"))
    publisher = "deployments.executions.publisher.publisher.publish"
    with patch(publisher) as publish, django_capture_on_commit_callbacks(execute=True):
        fire_due()
    kept = dict(ExecutionLog.objects.values_list("id", "traceparent"))
    assert kept == {each.firing.execution_id: each.traceparent for each in listener.told}
    assert {call.args[0]: call.kwargs["traceparent"] for call in publish.call_args_list} == kept


@pytest.mark.either_database
def test_a_jitter_is_part_of_when_it_was_to_fire(listener: Listener) -> None:
    schedule = make_late(jitter_seconds=30)
    fires_at = schedule.next_fire_at
    assert fires_at is not None
    with time_machine.travel(fires_at, tick=False):
        fire_due()
    [told] = listener.told
    assert (told.firing.scheduled_for, told.firing.fires_at) == (last_minute(), fires_at)


@pytest.mark.either_database
def test_what_is_skipped_is_not_told_of(listener: Listener) -> None:
    make_schedule(make_deployment("a"), after=last_minute() - 3 * MINUTE, catch_up="none")
    full = make_deployment("b", max_concurrent=1, when_full="reject")
    make_queued(full)
    make_late(full)
    fire_due()
    assert sorted(ExecutionLog.objects.values_list("reason", flat=True)) == ["", "", "limit", "missed", "missed"]
    assert [each.firing.scheduled_for for each in listener.told] == [last_minute()]


@pytest.mark.either_database
def test_what_waits_for_the_run_before_it_is_told_of(listener: Listener) -> None:
    schedule = make_late(overlap="queue_one")
    fire_due()
    with time_machine.travel(timezone.now() + MINUTE, tick=False):
        fire_due()
    assert ExecutionLog.objects.filter(schedule=schedule, waits_for_previous=True).count() == 1
    assert len(listener.told) == 2


@pytest.mark.either_database
def test_what_could_not_be_stored_has_no_end(listener: Listener, django_capture_on_commit_callbacks) -> None:  # type: ignore[no-untyped-def]
    """One of two has its row already: nothing of both is stored together, and then the other by itself."""
    known, other = make_late(make_deployment("a")), make_late(make_deployment("b"))
    fire_due(schedule_id=known.id)
    ScheduleConfig.objects.filter(id=known.id).update(next_occurrence_at=last_minute(), next_fire_at=last_minute())
    listener.told.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert fire_due() == 1
    assert len(listener.told) > 1
    assert listener.stored == [ExecutionLog.objects.get(schedule=other).id]


@pytest.mark.either_database
def test_what_fires_before_a_change_is_told_of_too(listener: Listener) -> None:
    schedule = make_late()
    fire_before_change(schedule_id=schedule.id)
    assert [each.firing.schedule_id for each in listener.told] == [schedule.id]


@pytest.mark.either_database
@pytest.mark.parametrize("breaks_at", ["begin", "end"])
def test_an_observer_that_fails_keeps_no_schedule_from_firing(  # type: ignore[no-untyped-def]
    listener: Listener, breaks_at: str, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks
) -> None:
    listener.breaks_at = breaks_at
    failing = make_late()
    with django_capture_on_commit_callbacks(execute=True):
        assert fire_due() == 1
    assert ExecutionLog.objects.get(schedule=failing).status == "queued"
    assert "What happened could not be measured" in caplog.text


@pytest.mark.either_database
def test_where_nobody_traces_it_has_no_trace() -> None:
    make_late()
    fire_due()
    assert ExecutionLog.objects.get().traceparent == ""
