"""Those who measure are told what an execution does, and its trace goes with it; nobody is kept from working."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone
from structlog.contextvars import get_contextvars

from deployments import telemetry
from deployments.executions import lifecycle
from deployments.executions.dispatch import dispatch_due
from deployments.executions.publisher import Publisher
from deployments.executions.start import start_execution
from deployments.executions.worker import Worker
from deployments.models import ExecutionLog
from deployments.telemetry import ObservedRun, Observer, RunEnd
from deployments.tests.builders import make_deployment, make_queued
from executor.events import Event

pytestmark = pytest.mark.django_db(transaction=True)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Story(Observer):
    """An observer that remembers what it was told, and that breaks when it is asked to."""

    traceparent: str = ""
    breaks: bool = False
    runs: list[ObservedRun] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    ends: list[RunEnd] = field(default_factory=list)
    named: list[dict[str, object]] = field(default_factory=list)
    sent: "queue.SimpleQueue[tuple[UUID, str]]" = field(default_factory=queue.SimpleQueue)
    lost: int = 0

    def current_traceparent(self) -> str:
        return self.traceparent

    @contextlib.contextmanager
    def publishing(self, execution_id: UUID, traceparent: str) -> Iterator[None]:
        self.sent.put((execution_id, traceparent))
        yield

    def follow(self, run: ObservedRun) -> "Story":
        if self.breaks and self.runs:
            raise ZeroDivisionError
        self.runs.append(run)
        self.named.append(get_contextvars())
        return self

    def note(self, event: Event) -> None:
        if self.breaks:
            raise ZeroDivisionError
        self.events.append(event.type)

    def end(self, end: RunEnd) -> None:
        self.ends.append(end)

    def count_lost_lease(self) -> None:
        self.lost += 1


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    story = Story()
    monkeypatch.setattr(telemetry, "observers", lambda: (story,))
    return story


def start() -> ExecutionLog:
    deployment = make_deployment()
    return start_execution(
        deployment=deployment,
        version=deployment.version,
        team_id=deployment.team_id,
        input_data={},
        trigger_type="api",
        triggered_by="key:test",
        publishes=False,
    ).execution


def test_an_observer_is_told_of_an_attempt_from_its_beginning_to_its_end(worker: Worker, story: Story) -> None:
    story.traceparent = TRACEPARENT
    execution = start()
    worker.run(execution.id, 0)

    [run], [end] = story.runs, story.ends
    assert (run.execution_id, run.attempt, run.trigger) == (execution.id, 1, "api")
    assert (run.deployment_path, run.traceparent) == ("/api/deployed/greet", TRACEPARENT)
    assert run.kind_of("offline:demo") == "offline"
    assert run.kind_of("nobodys:model") == ""
    assert story.events == [
        "execution.started",
        "block.started",
        "agent.started",
        "agent.completed",
        "block.completed",
        "execution.completed",
    ]
    execution.refresh_from_db()
    assert end == RunEnd("completed", "", execution.duration_ms or 0)


def test_what_is_logged_of_it_names_its_deployment_and_its_attempt(worker: Worker, story: Story) -> None:
    execution = start()
    worker.run(execution.id, 0)

    [named] = story.named
    assert named == {
        "execution_id": str(execution.id),
        "deployment_id": str(execution.deployment_id),
        "deployment": "/api/deployed/greet",
        "attempt": 1,
    }


def test_an_observer_that_fails_keeps_no_execution_from_its_end(
    worker: Worker, story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    story.breaks = True
    execution = start()
    worker.run(execution.id, 0)

    again = make_queued(execution.deployment)
    worker.run(again.id, 0)

    assert set(ExecutionLog.objects.values_list("status", flat=True)) == {"completed"}
    assert story.ends == []
    assert caplog.text.count("could not be measured; no more") == 1  # of the first, at its first event
    assert caplog.text.count("What happened could not be measured") == 1  # of the second, as it began


def test_an_observer_that_fails_at_the_end_of_a_hint_keeps_nobody_from_sending_it(
    story: Story, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @contextlib.contextmanager
    def fails_at_its_end(*_: object) -> Iterator[None]:
        yield
        raise ZeroDivisionError

    monkeypatch.setattr(story, "publishing", fails_at_its_end)
    execution = make_queued()
    with telemetry.publishing(execution.id, TRACEPARENT):
        pass
    assert caplog.text.count("What happened could not be measured") == 1
    with pytest.raises(KeyError), telemetry.publishing(execution.id, TRACEPARENT):
        raise KeyError  # the publisher's own


def test_a_run_that_cannot_be_described_is_not_followed(story: Story) -> None:
    def fail() -> ObservedRun:
        raise ZeroDivisionError

    telemetry.Followers.of(fail).end(RunEnd("completed"))
    assert story.ends == []


def test_an_attempt_that_another_worker_has_made_is_no_attempt(worker: Worker, story: Story) -> None:
    execution = start()
    other = lifecycle.Fence(execution.id, 1, "another")

    class Late(Story):
        def follow(self, run: ObservedRun) -> "Story":
            claiming = threading.Thread(
                target=lifecycle.claim, args=({other: 2},), kwargs={"started_at": timezone.now()}
            )
            claiming.start()
            claiming.join()
            return story

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(telemetry, "observers", lambda: (Late(),))
        worker.run(execution.id, 0)
    assert [end.status for end in story.ends] == ["unclaimed"]


def test_the_trace_is_the_executions_own_whoever_sends_it_again(story: Story) -> None:
    story.traceparent = TRACEPARENT
    execution = start()
    story.traceparent = ""
    ExecutionLog.objects.update(dispatched_at=timezone.now() - timedelta(minutes=1))
    dispatch_due(10)

    assert story.sent.get(timeout=20) == (execution.id, "")
    assert ExecutionLog.objects.get().traceparent == TRACEPARENT


def test_a_hint_is_sent_on_behalf_of_who_asked_for_it(story: Story) -> None:
    story.traceparent = TRACEPARENT
    execution = make_queued()
    Publisher().publish(execution.id, 0)

    assert story.sent.get(timeout=20) == (execution.id, TRACEPARENT)


def test_a_hint_of_a_trace_that_is_not_done_here_is_sent_on_behalf_of_that(story: Story) -> None:
    execution = make_queued()
    Publisher().publish(execution.id, 0, traceparent=TRACEPARENT)

    assert story.sent.get(timeout=20) == (execution.id, TRACEPARENT)


def test_a_worker_that_is_lost_with_an_execution_is_counted(story: Story) -> None:
    execution = make_queued()
    lifecycle.claim({lifecycle.Fence(execution.id, 1, "lost"): 2}, started_at=timezone.now())
    lifecycle.reap()
    assert story.lost == 0
    lifecycle.end_leases_of("lost")
    lifecycle.reap()
    assert story.lost == 1
