"""From acceptance to the end through a real worker's loop and writer, over real HTTP to a provider.

Celery's thread is a plain thread here, which hands the hint over as the task does.
"""

import asyncio
import threading
from types import ModuleType
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connections

from deployments.executions import lifecycle
from deployments.executions import worker as worker_module
from deployments.executions.admission import ConcurrencyLimitReached
from deployments.executions.lifecycle import ending
from deployments.executions.publisher import publisher
from deployments.executions.run import LoadedExecution, load_execution
from deployments.executions.start import (
    Idempotency,
    IdempotencyConflict,
    Started,
)
from deployments.executions.worker import Worker
from deployments.models import Deployment, ExecutionEvent, ExecutionLog, IdempotencyKey
from deployments.tests.worker_runs import deploy, eventually, running, start, types_of
from executor.providers import registry
from orchestration_site.proving.mock_provider import MockProvider, Reply

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

STALL = Reply(fault="stall")


def test_an_accepted_execution_completes_with_its_trace(worker: Worker, provider: MockProvider) -> None:
    execution = start(deploy("mock:any")).execution
    worker.run(execution.id, 0)
    execution.refresh_from_db()
    assert (execution.status, execution.error, execution.attempt) == ("completed", "", 1)
    assert execution.result_data["output"]
    assert execution.result_data["blocks"] == {"greet": execution.result_data["output"]}
    assert execution.usage["calls"] == 1 == provider.counters.requests
    assert types_of(execution) == [
        "execution.accepted",
        "execution.started",
        "block.started",
        "agent.started",
        "agent.completed",
        "block.completed",
        "execution.completed",
    ]
    assert execution.seq == 7
    deployment = Deployment.objects.get()
    assert (deployment.execution_count, deployment.last_execution_at) == (1, execution.completed_at)


def test_a_repeated_or_stale_message_changes_nothing(worker: Worker, provider: MockProvider) -> None:
    execution = start(deploy("mock:any")).execution
    with running(worker, execution, execution, execution):
        pass
    worker.run(execution.id, 0)
    worker.run(execution.id, 1)
    assert provider.counters.requests == 1
    assert types_of(execution).count("execution.completed") == 1


def test_the_provider_s_failure_is_the_execution_s(worker: Worker, provider: MockProvider) -> None:
    execution = start(deploy("mock:status-401")).execution
    worker.run(execution.id, 0)
    execution.refresh_from_db()
    assert (execution.status, execution.error_code) == ("failed", "provider_error")
    assert execution.error_detail["block_id"] == "greet"
    assert execution.error_detail["agent"] == "Writer"
    assert "secret" not in execution.error
    assert types_of(execution)[-1] == "execution.failed"


def test_a_hanging_call_ends_at_the_deadline(worker: Worker, provider: MockProvider) -> None:
    provider.script = lambda request: STALL
    execution = start(deploy("mock:any", deadline_seconds=3)).execution
    worker.run(execution.id, 0)
    execution.refresh_from_db()
    assert (execution.status, execution.error_code) == ("failed", "timeout")
    eventually(lambda: provider.counters.disconnects == 1)


def test_cancelling_stops_the_call_that_is_out(worker: Worker, provider: MockProvider) -> None:
    provider.script = lambda request: STALL
    execution = start(deploy("mock:any")).execution
    with running(worker, execution):
        eventually(lambda: provider.counters.in_flight == 1)
        assert lifecycle.request_cancel(execution_id=execution.id, by="user:alice") == "requested"
    execution.refresh_from_db()
    assert (execution.status, execution.error) == ("cancelled", "Cancelled by user:alice.")
    assert types_of(execution)[-1] == "execution.cancelled"
    eventually(lambda: provider.counters.disconnects == 1)


def test_a_lost_cancel_message_is_made_up_for_by_the_heartbeat(
    worker: Worker, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.script = lambda request: STALL
    monkeypatch.setattr(ending, "ask_workers_to_cancel", lambda execution_id, by: None)
    execution = start(deploy("mock:any")).execution
    with running(worker, execution):
        eventually(lambda: provider.counters.in_flight == 1)
        lifecycle.request_cancel(execution_id=execution.id, by="user:alice")
    execution.refresh_from_db()
    assert execution.status == "cancelled"


def test_a_draining_worker_gives_back_what_it_runs(worker: Worker, provider: MockProvider) -> None:
    provider.script = lambda request: STALL
    execution = start(deploy("mock:any")).execution
    with running(worker, execution):
        eventually(lambda: provider.counters.in_flight == 1)
        worker.drain(0)
    execution.refresh_from_db()
    assert (execution.status, execution.losses, execution.attempt) == ("queued", 0, 1)
    provider.script = None
    other = Worker()
    other.start()
    other.run(execution.id, 1)
    other.drain(0)
    execution.refresh_from_db()
    assert (execution.status, execution.attempt) == ("completed", 2)


def test_a_draining_worker_lets_what_it_runs_end_in_time(worker: Worker, provider: MockProvider) -> None:
    execution = start(deploy("mock:latency-300")).execution
    with running(worker, execution):
        eventually(lambda: provider.counters.requests == 1)
        worker.drain(20)
    execution.refresh_from_db()
    assert (execution.status, execution.attempt) == ("completed", 1)
    late = start(deploy("mock:any", path="late")).execution
    worker.run(late.id, 0)
    late.refresh_from_db()
    assert late.status == "queued"


def test_executions_beyond_the_concurrency_wait_and_then_run(worker: Worker, provider: MockProvider) -> None:
    gate = threading.Event()

    async def wait_at_gate(request: object) -> None:
        await asyncio.to_thread(gate.wait, 20)

    provider.script = wait_at_gate
    deployment = deploy("mock:any", max_concurrent=1)
    first, second = start(deployment).execution, start(deployment).execution
    with running(worker, first):
        eventually(lambda: provider.counters.in_flight == 1)
        worker.run(second.id, 0)
        second.refresh_from_db()
        assert second.status == "queued"
        gate.set()

    def has_run() -> bool:
        # Who publishes the next one at the first one's end may just hold its row, and a claim leaves that to him.
        worker.run(second.id, 0)
        second.refresh_from_db()
        return second.status == "completed"

    eventually(has_run)
    assert provider.counters.in_flight_peak == 1


def test_a_full_deployment_that_rejects_accepts_nothing() -> None:
    deployment = deploy(max_concurrent=1, when_full="reject")
    start(deployment)
    with pytest.raises(ConcurrencyLimitReached, match="at most 1 executions"):
        start(deployment)
    assert ExecutionLog.objects.count() == 1


def test_one_idempotency_key_is_one_execution() -> None:
    deployment = deploy()
    once = Idempotency(principal="key:1", key="order-7", body_hash="a" * 64)
    first = start(deployment, idempotency=once)
    again = start(deployment, idempotency=once)
    assert (again.execution.id, first.replayed, again.replayed) == (first.execution.id, False, True)
    with pytest.raises(IdempotencyConflict):
        start(deployment, idempotency=Idempotency("key:1", "order-7", "b" * 64))
    other_caller = start(deployment, idempotency=Idempotency("key:2", "order-7", "b" * 64))
    assert not other_caller.replayed
    assert ExecutionLog.objects.count() == 2


def test_many_calls_with_one_key_at_once_are_one_execution() -> None:
    deployment = deploy()
    results: list[Started] = []

    def call() -> None:
        results.append(start(deployment, idempotency=Idempotency("key:1", "once", "a" * 64)))
        connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({started.execution.id for started in results}) == 1
    assert sum(not started.replayed for started in results) == 1
    assert ExecutionLog.objects.count() == 1


def test_a_key_may_be_used_anew_after_its_day() -> None:
    deployment = deploy()
    key = Idempotency("key:1", "order-7", "a" * 64)
    first = start(deployment, idempotency=key)
    IdempotencyKey.objects.update(expires_at=first.execution.created_at)
    assert not start(deployment, idempotency=key).replayed


def test_a_heartbeat_never_stops_what_is_just_being_claimed(
    worker: Worker, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a heartbeat of a few milliseconds every claim meets several."""
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update={"heartbeat_seconds": 0.003}))
    busy = Worker()
    busy.start()
    deployment = deploy("mock:any")
    executions = [start(deployment).execution for _ in range(12)]
    with running(busy, *executions):
        pass
    busy.drain(0)
    assert set(ExecutionLog.objects.values_list("status", "attempt")) == {("completed", 1)}


def test_of_those_on_their_last_chance_one_runs_at_a_time_until_it_has_a_result(
    worker: Worker, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them may have cost the others their workers: it must not do so once more."""
    gate = threading.Event()

    async def wait_at_gate(request: object) -> None:
        await asyncio.to_thread(gate.wait, 20)

    published: list[tuple[UUID, int]] = []
    monkeypatch.setattr(publisher, "publish", lambda *hint: published.append(hint))
    provider.script = wait_at_gate
    deployment = deploy("mock:any")
    suspect, other, innocent = (start(deployment).execution for _ in range(3))
    published.clear()
    ExecutionLog.objects.filter(id__in=[suspect.id, other.id]).update(losses=lifecycle.MAX_LOSSES - 1)
    with running(worker, suspect, innocent):
        eventually(lambda: provider.counters.in_flight == 2)
        worker.run(other.id, 0)
        assert (provider.counters.requests, published) == (2, [])
        gate.set()
    eventually(lambda: published == [(other.id, 0)])
    worker.run(other.id, 0)
    assert set(ExecutionLog.objects.values_list("status", flat=True)) == {"completed"}


def test_the_price_list_is_imported_by_a_thread_and_not_by_the_loop_that_all_executions_share(
    worker: Worker, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loaded = registry._load, []

    def load_noted(name: str) -> ModuleType:
        loaded.append((name.rpartition(".")[2], threading.current_thread().name.partition("_")[0]))
        return load(name)

    monkeypatch.setattr(registry, "_load", load_noted)
    worker.run(start(deploy("mock:any")).execution.id, 0)
    assert ("prices", "database") in loaded
    assert {thread for _, thread in loaded}.isdisjoint({"executions", "MainThread"})


def test_a_result_that_cannot_be_stored_fails_the_execution(worker: Worker, provider: MockProvider) -> None:
    """The row of another result is in its way, as bad data would be."""
    execution = start(deploy("mock:any")).execution
    key = "greet/turn/0/writer"
    ExecutionEvent.objects.create(
        execution=execution, seq=1_000, type="agent.completed", key=key, at=execution.created_at
    )
    worker.run(execution.id, 0)
    execution.refresh_from_db()
    assert (execution.status, execution.error_code) == ("failed", "internal_error")
    assert "could not be stored" in execution.error


def test_a_drain_that_meets_an_execution_being_read_ends(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, drained = threading.Event(), threading.Event()

    def load_slowly(execution_id: UUID, attempt: int) -> LoadedExecution | None:
        reading.set()
        drained.wait(20)
        return load_execution(execution_id, attempt)

    monkeypatch.setattr(worker_module, "load_execution", load_slowly)
    execution = start(deploy()).execution
    with running(worker, execution):
        assert reading.wait(20)
        worker.drain(0)
        drained.set()
    execution.refresh_from_db()
    assert execution.status == "queued"
