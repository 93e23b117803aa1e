"""Running executions again, through a real worker and over real HTTP to a provider that counts."""

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from deployments.deploying import undeploy
from deployments.executions.admission import ConcurrencyLimitReached
from deployments.executions.journal import read_recorded
from deployments.executions.rerunning import RerunRefused, rerun_execution
from deployments.executions.reused import ParentGone, Rerun
from deployments.executions.start import Idempotency, IdempotencyConflict, start_execution
from deployments.executions.worker import Worker
from deployments.models import Deployment, ExecutionEvent, ExecutionLog
from deployments.tests.builders import chain_document, make_deployment, make_ended, make_version
from designs.models import DesignVersion
from executor.errors import CannotRerun, InvalidInput
from executor.events import Event
from executor.json_types import JsonObject
from executor.reuse import Reuse
from orchestration_site.proving.mock_provider import MockProvider, Reply

pytestmark = pytest.mark.django_db(transaction=True)

TEXT_SCHEMA: JsonObject = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
ABC = chain_document(
    "mock:a",
    "mock:b",
    "mock:c",
    tasks={"a": "Say {{input.text}}.", "c": "Say {{input.text}} after {{blocks.a.output}}."},
    input_schema=TEXT_SCHEMA,
)


def parallel_document(*models: str) -> JsonObject:
    """One block that asks an agent on each of these models at once."""
    agents: list[Any] = [
        {"id": model[-1], "name": model[-1].upper(), "model": model, "settings": {"tries": 1}} for model in models
    ]
    block: JsonObject = {"id": "all", "type": "parallel", "data": {"label": "All", "agents": agents}}
    return {"format": 1, "name": "Parallel", "blocks": [block], "connections": []}


def failing(*models: str) -> Callable[[Any], Reply | None]:
    """A provider's script: these models refuse."""
    return lambda request: Reply(status=400) if request.model in models else None


def run(worker: Worker, execution: ExecutionLog) -> ExecutionLog:
    worker.run(execution.id, 0)
    execution.refresh_from_db()
    return execution


def run_first(worker: Worker, deployment: Deployment | None = None, **fields: Any) -> ExecutionLog:
    deployment = deployment or make_deployment("chain", version=make_version(ABC), **fields)
    started = start_execution(
        deployment=deployment,
        version=deployment.version,
        team_id=deployment.team_id,
        input_data={"text": "hello"},
        trigger_type="api",
        triggered_by="key:test",
    )
    return run(worker, started.execution)


def run_failed(worker: Worker, provider: MockProvider, *models: str) -> ExecutionLog:
    """An execution of `ABC` that failed because these models did; they will not again."""
    provider.script = failing(*models)
    execution = run_first(worker)
    assert execution.status == "failed"
    provider.script = None
    provider.reset()
    return execution


def rerun(parent: ExecutionLog, start_from: str = "failed", **options: Any) -> ExecutionLog:
    return rerun_execution(parent_id=parent.id, start_from=start_from, by="user:alice", **options).execution


def events_of(execution: ExecutionLog) -> list[Event]:
    entries = read_recorded(execution.id)
    assert [entry.position for entry in entries] == list(range(1, execution.seq + 1))
    return [entry.event for entry in entries]


class TestReruns:
    def test_from_failed_only_what_has_no_result_is_asked(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "b")
        again = rerun(parent)
        assert (again.status, again.attempt, again.parent_id) == ("queued", 0, parent.id)
        assert (again.trigger_type, again.triggered_by, again.input_data) == ("manual", "user:alice", {"text": "hello"})
        run(worker, again)
        assert (again.status, again.error) == ("completed", "")
        assert provider.counters.by_model == {"b": 1, "c": 1}
        assert again.usage["calls"] == 2
        assert set(again.result_data["blocks"]) == {"a", "b", "c"}
        assert Deployment.objects.get().execution_count == 2

    def test_the_first_event_says_where_it_comes_from_and_what_is_not_paid_again(
        self, worker: Worker, provider: MockProvider
    ) -> None:
        parent = run_failed(worker, provider, "b")
        again = run(worker, rerun(parent))
        accepted, *others = events_of(again)
        of_a = next(event for event in events_of(parent) if event.type == "agent.completed")
        used: Any = of_a.payload["usage"]
        assert accepted.payload == {
            "trigger_type": "manual",
            "triggered_by": "user:alice",
            "parent": str(parent.id),
            "from": "failed",
            "reused": {"blocks": 1, "usage": {"calls": 1, **used}, "cost": of_a.payload["cost"]},
            "reusable_answers": 0,
        }
        reused = [event for event in others if event.is_reused]
        assert [(event.type, event.block_id) for event in reused] == [
            ("block.started", "a"),
            ("agent.started", "a"),
            ("agent.completed", "a"),
            ("block.completed", "a"),
        ]
        assert {event.at for event in reused} == {again.created_at}
        assert reused[2].payload == of_a.payload | {
            "reused": {"execution_id": str(parent.id), "at": of_a.at.isoformat().replace("+00:00", "Z")}
        }

    def test_from_start_everything_is_asked(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "b")
        again = run(worker, rerun(parent, "start", input_data={"text": "bye"}))
        assert (again.status, again.input_data) == ("completed", {"text": "bye"})
        assert provider.counters.by_model == {"a": 1, "b": 1, "c": 1}
        assert "Say bye." in provider.requests[0].last_user_text

    def test_an_edited_input_reaches_only_what_runs_again(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_first(worker)
        provider.reset()
        again = run(worker, rerun(parent, "c", input_data={"text": "bye"}))
        assert (again.status, again.input_data) == ("completed", {"text": "bye"})
        assert provider.counters.by_model == {"c": 1}
        [prompt] = [request.last_user_text for request in provider.requests]
        assert prompt.startswith("Say bye after ")
        assert "hello" in prompt  # what was made of the first input stays as it was
        assert again.result_data["blocks"]["b"] == parent.result_data["blocks"]["b"]

    def test_a_failed_branch_is_asked_again_alone(self, worker: Worker, provider: MockProvider) -> None:
        document = parallel_document("mock:x", "mock:y", "mock:z")
        provider.script = failing("y")
        parent = run_first(worker, make_deployment("parallel", version=make_version(document)))
        assert (parent.status, provider.counters.by_model["x"], provider.counters.by_model["z"]) == ("failed", 1, 1)
        provider.script = None
        provider.reset()
        again = run(worker, rerun(parent))
        assert (again.status, again.usage["calls"]) == ("completed", 1)
        assert provider.counters.by_model == {"y": 1}
        accepted, *events = events_of(again)
        assert accepted.payload["reusable_answers"] == 2
        used = [event.agent for event in events if event.type == "agent.completed" and event.is_reused]
        assert used == ["X", "Z"]
        # With another input every branch is asked something else, so nothing that was answered is used.
        provider.reset()
        edited = run(worker, rerun(parent, input_data={"text": "bye"}))
        assert (edited.status, edited.usage["calls"]) == ("completed", 3)

    def test_the_parent_may_be_deleted_once_the_rerun_is_accepted(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "c")
        again = rerun(parent)
        parent.delete()
        run(worker, again)
        assert (again.status, again.parent_id) == ("completed", None)
        assert provider.counters.by_model == {"c": 1}

    def test_a_rerun_is_run_again(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "b")
        provider.script = failing("c")
        second = run(worker, rerun(parent))
        assert second.status == "failed"
        provider.script = None
        provider.reset()
        third = run(worker, rerun(second))
        assert (third.status, third.parent_id, third.usage["calls"]) == ("completed", second.id, 1)
        assert provider.counters.by_model == {"c": 1}
        paid_by = {event.block_id: event.payload["reused"] for event in events_of(third) if event.is_reused}
        assert paid_by["a"]["execution_id"] == str(parent.id)  # type: ignore[index, call-overload]  # JSON
        assert paid_by["b"]["execution_id"] == str(second.id)  # type: ignore[index, call-overload]  # JSON

    def test_a_cancelled_execution_goes_on_where_it_was(self, worker: Worker, provider: MockProvider) -> None:
        provider.script = lambda request: Reply(fault="stall") if request.model == "b" else None
        deployment = make_deployment("chain", version=make_version(ABC), deadline_seconds=2)
        parent = run_first(worker, deployment)
        assert parent.error_code == "timeout"
        provider.script = None
        provider.reset()
        assert run(worker, rerun(parent)).status == "completed"
        assert provider.counters.by_model == {"b": 1, "c": 1}

    def test_it_is_the_parents_version_that_runs(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "b")
        newer = DesignVersion.objects.create(
            design=parent.design, number=2, content_hash="1" * 64, document=chain_document("mock:new")
        )
        Deployment.objects.update(version=newer)
        again = run(worker, rerun(parent))
        assert again.version_id == parent.version_id
        assert provider.counters.by_model == {"b": 1, "c": 1}

    def test_a_draft_is_run_again_without_a_deployment(self, worker: Worker, provider: MockProvider) -> None:
        version = make_version(ABC)
        provider.script = failing("b")
        started = start_execution(
            deployment=None,
            version=version,
            team_id=version.design.team_id,
            input_data={"text": "hello"},
            trigger_type="manual",
            triggered_by="user:alice",
        )
        parent = run(worker, started.execution)
        provider.script = None
        again = run(worker, rerun(parent))
        assert (again.status, again.deployment_id) == ("completed", None)

    def test_an_inactive_deployment_runs_again_by_hand(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "b")
        Deployment.objects.update(status="error", status_reason="Paused.")
        assert run(worker, rerun(parent)).status == "completed"

    def test_a_worker_that_goes_away_leaves_a_rerun_that_another_ends(
        self, worker: Worker, provider: MockProvider
    ) -> None:
        parent = run_failed(worker, provider, "b", "c")
        provider.script = lambda request: Reply(fault="stall") if request.model == "c" else None
        again = rerun(parent, input_data={"text": "bye"})
        thread = threading.Thread(target=worker.run, args=(again.id, 0))
        thread.start()
        deadline = time.monotonic() + 30
        while provider.counters.by_model["c"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        worker.drain(0)
        thread.join(30)
        again.refresh_from_db()
        assert (again.status, again.attempt) == ("queued", 1)
        provider.script = None
        other = Worker()
        other.start()
        other.run(again.id, 1)
        other.drain(0)
        again.refresh_from_db()
        assert again.status == "completed"
        assert provider.counters.by_model == {"b": 1, "c": 2}
        assert (again.usage["calls"], "execution.warning" in {event.type for event in events_of(again)}) == (2, False)


class TestRefusals:
    def test_what_still_runs_is_not_run_again(self) -> None:
        deployment = make_deployment("chain", version=make_version(ABC))
        queued = start_execution(
            deployment=deployment,
            version=deployment.version,
            team_id=deployment.team_id,
            input_data={"text": "hello"},
            trigger_type="api",
            triggered_by="key:test",
        ).execution
        with pytest.raises(RerunRefused, match="still queued") as refused:
            rerun(queued, "start")
        assert refused.value.code == "execution-not-ended"

    def test_what_is_undeployed_is_not_run_again(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "b")
        undeploy(deployment_id=Deployment.objects.get().id, by="user:alice")
        with pytest.raises(RerunRefused, match="undeployed") as refused:
            rerun(parent)
        assert refused.value.code == "deployment-undeployed"

    def test_a_draft_whose_design_was_deleted_is_not_run_again(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "b")
        ExecutionLog.objects.update(deployment=None)
        parent.design.deleted_at = timezone.now()
        parent.design.save()
        with pytest.raises(RerunRefused, match="deleted"):
            rerun(parent)

    def test_an_input_that_the_version_does_not_allow_is_refused(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "b")
        with pytest.raises(InvalidInput):
            rerun(parent, input_data={"text": 7})
        with pytest.raises(CannotRerun):
            rerun(parent, "x")
        with pytest.raises(ParentGone):
            rerun_execution(parent_id=uuid4(), start_from="start", by="user:alice")
        assert ExecutionLog.objects.count() == 1

    def test_results_that_are_not_kept_any_more_are_not_paid_for_unasked(
        self, worker: Worker, provider: MockProvider
    ) -> None:
        parent = run_failed(worker, provider, "b")
        ExecutionEvent.objects.filter(execution=parent, block_id="a").delete()
        with pytest.raises(RerunRefused, match="from start only"):
            rerun(parent)
        assert run(worker, rerun(parent, "start")).status == "completed"

    def test_a_version_that_cannot_be_read_any_more_is_refused(self) -> None:
        parent = make_ended(make_deployment(version=make_version(ABC)), at=timezone.now(), status="failed")
        parent.version.document = {"format": 1, "name": "Broken", "blocks": "none"}
        parent.version.save()
        with pytest.raises(RerunRefused, match="cannot be read"):
            rerun(parent, "start")

    def test_a_parent_that_is_deleted_meanwhile_is_gone_and_nothing_is_accepted(
        self, worker: Worker, provider: MockProvider
    ) -> None:
        parent = run_failed(worker, provider, "b")
        gone = Rerun(uuid4(), "start", Reuse(frozenset(), frozenset("abc")))
        with pytest.raises(ParentGone):
            start_execution(
                deployment=parent.deployment,
                version=parent.version,
                team_id=parent.team_id,
                input_data={},
                trigger_type="manual",
                triggered_by="user:alice",
                rerun=gone,
            )
        assert ExecutionLog.objects.count() == 1

    def test_a_full_deployment_that_rejects_rejects_a_rerun_too(self, worker: Worker, provider: MockProvider) -> None:
        parent = run_failed(worker, provider, "b")
        Deployment.objects.update(max_concurrent=1, when_full="reject")
        rerun(parent)
        with pytest.raises(ConcurrencyLimitReached):
            rerun(parent)
        assert ExecutionLog.objects.count() == 2
        assert ExecutionEvent.objects.exclude(execution__in=ExecutionLog.objects.all()).count() == 0


def test_one_idempotency_key_is_one_rerun(worker: Worker, provider: MockProvider) -> None:
    parent = run_failed(worker, provider, "b")
    once = Idempotency("key:1", "retry-7", "a" * 64)
    first = rerun_execution(parent_id=parent.id, start_from="failed", by="key:crm", idempotency=once)
    again = rerun_execution(parent_id=parent.id, start_from="failed", by="key:crm", idempotency=once)
    assert (first.replayed, again.replayed, again.execution.id) == (False, True, first.execution.id)
    with pytest.raises(IdempotencyConflict):
        rerun_execution(
            parent_id=parent.id,
            start_from="start",
            by="key:crm",
            idempotency=Idempotency("key:1", "retry-7", "b" * 64),
        )
