"""Every change of status is a compare-and-set: who is late, stale or not allowed changes nothing."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from deployments.executions import lifecycle
from deployments.executions.lifecycle import Ending, Fence, ending
from deployments.models import ExecutionEvent, ExecutionLog
from deployments.tests.builders import make_deployment, make_queued

pytestmark = pytest.mark.django_db

RUNNING = ExecutionLog.Status.RUNNING


def fence_of(execution: ExecutionLog, *, attempt: int = 1, owner: str = "worker-a") -> Fence:
    return Fence(execution.id, attempt, owner)


def claim(*fences: Fence, seq: int = 1) -> set[UUID]:
    with transaction.atomic():
        return lifecycle.claim(dict.fromkeys(fences, seq), started_at=timezone.now())


def completed(**fields: object) -> Ending:
    return Ending(status="completed", completed_at=timezone.now(), duration_ms=5, **fields)  # type: ignore[arg-type]


def test_accepting_makes_a_queued_row_with_its_first_event() -> None:
    execution = make_queued()
    assert execution.status == "queued"
    event = ExecutionEvent.objects.get(execution=execution)
    assert (event.seq, event.type) == (1, "execution.accepted")
    assert event.payload == {"trigger_type": "api", "triggered_by": "key:test"}


def test_a_claim_takes_a_queued_row_once() -> None:
    execution = make_queued()
    assert claim(fence_of(execution), seq=3) == {execution.id}
    assert claim(fence_of(execution, owner="worker-b")) == set()
    execution.refresh_from_db()
    assert (execution.status, execution.attempt, execution.lease_owner, execution.seq) == (RUNNING, 1, "worker-a", 3)
    assert execution.started_at is not None
    assert execution.lease_expires_at is not None
    assert execution.lease_expires_at > timezone.now()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"next_run_at": timezone.now() + timedelta(hours=1)}, "not due yet"),
        ({"deadline_at": timezone.now() - timedelta(seconds=1)}, "past its deadline"),
        ({"cancel_requested_at": timezone.now()}, "cancelled"),
        ({"attempt": 1}, "another attempt"),
    ],
)
def test_a_claim_refuses_what_is_not_claimable(fields: dict[str, Any], why: str) -> None:
    execution = make_queued(**fields)
    assert claim(fence_of(execution)) == set(), why
    execution.refresh_from_db()
    assert execution.status == "queued"


def test_a_claim_of_an_execution_that_has_run_keeps_its_first_start() -> None:
    first_start = timezone.now() - timedelta(minutes=5)
    execution = make_queued(attempt=2, started_at=first_start)
    assert claim(fence_of(execution, attempt=3)) == {execution.id}
    execution.refresh_from_db()
    assert execution.started_at == first_start
    assert execution.attempt == 3


def test_claims_hold_the_concurrency_of_a_deployment() -> None:
    deployment = make_deployment(max_concurrent=2)
    executions = [make_queued(deployment) for _ in range(5)]
    others = make_queued(make_deployment("other"))
    got = claim(*(fence_of(execution) for execution in [*executions, others]))
    assert got == {executions[0].id, executions[1].id, others.id}
    assert claim(fence_of(executions[2])) == set()
    with transaction.atomic():
        assert lifecycle.finish({fence_of(executions[0]): (2, completed())})
    assert claim(fence_of(executions[2])) == {executions[2].id}


@pytest.mark.parametrize(
    "wrong",
    [{"attempt": 2}, {"owner": "worker-b"}],
    ids=["an attempt that is not the row's", "another worker"],
)
def test_without_the_fence_nothing_is_recorded_or_ended(wrong: dict[str, object]) -> None:
    execution = make_queued()
    claim(fence_of(execution))
    stale = fence_of(execution, **wrong)  # type: ignore[arg-type]
    with transaction.atomic():
        assert not lifecycle.advance({stale: 9})
        assert not lifecycle.finish({stale: (9, completed())})
    execution.refresh_from_db()
    assert (execution.status, execution.seq) == (RUNNING, 1)


def test_an_ended_execution_is_final() -> None:
    execution = make_queued()
    fence = fence_of(execution)
    claim(fence)
    with transaction.atomic():
        assert lifecycle.finish({fence: (4, completed(result_data={"output": "hi"}))})
        assert not lifecycle.finish({fence: (5, completed())})
        assert not lifecycle.advance({fence: 6})
    assert lifecycle.request_cancel(execution_id=execution.id, by="user:alice") == "ended"
    assert claim(fence_of(execution, attempt=2)) == set()
    execution.refresh_from_db()
    assert (execution.status, execution.seq, execution.result_data) == ("completed", 4, {"output": "hi"})
    assert (execution.lease_owner, execution.lease_expires_at) == ("", None)


def test_ends_are_counted_on_the_deployment() -> None:
    deployment = make_deployment()
    earlier, later = timezone.now() - timedelta(hours=1), timezone.now()
    lifecycle.count_ended([lifecycle.Ended(uuid4(), deployment.id, at) for at in (later, earlier)])
    lifecycle.count_ended([lifecycle.Ended(uuid4(), deployment.id, earlier)])
    deployment.refresh_from_db()
    assert (deployment.execution_count, deployment.last_execution_at) == (3, later)


def test_cancelling_what_is_queued_ends_it_at_once() -> None:
    execution = make_queued()
    assert lifecycle.request_cancel(execution_id=execution.id, by="user:alice") == "cancelled"
    execution.refresh_from_db()
    assert (execution.status, execution.cancel_requested_by) == ("cancelled", "user:alice")
    assert execution.deployment is not None
    assert execution.deployment.execution_count == 1
    last = ExecutionEvent.objects.filter(execution=execution).latest("seq")
    assert (last.seq, last.type, last.payload) == (2, "execution.cancelled", {"by": "user:alice", "duration_ms": 0})
    assert claim(fence_of(execution)) == set()


def test_cancelling_what_runs_leaves_it_to_its_worker() -> None:
    execution = make_queued()
    claim(fence_of(execution))
    assert lifecycle.request_cancel(execution_id=execution.id, by="user:alice") == "requested"
    execution.refresh_from_db()
    assert execution.status == RUNNING
    assert lifecycle.renew([fence_of(execution)]) == {execution.id: "user:alice"}


def test_undeploying_cancels_only_what_is_queued_there() -> None:
    deployment, other = make_deployment("a"), make_deployment("b")
    running, queued, elsewhere = make_queued(deployment), make_queued(deployment), make_queued(other)
    claim(fence_of(running))
    assert lifecycle.cancel_queued_of_deployment(deployment_id=deployment.id, by="user:alice") == 1
    statuses = [ExecutionLog.objects.get(id=row.id).status for row in (running, queued, elsewhere)]
    assert statuses == ["running", "cancelled", "queued"]


def test_a_heartbeat_renews_only_what_is_still_held() -> None:
    held, lost = make_queued(make_deployment("a")), make_queued(make_deployment("b"))
    claim(fence_of(held), fence_of(lost))
    past = timezone.now() - timedelta(hours=1)
    ExecutionLog.objects.update(lease_expires_at=past)
    ExecutionLog.objects.filter(id=lost.id).update(lease_owner="worker-b")
    assert lifecycle.renew([fence_of(held), fence_of(lost)]) == {held.id: None}
    held.refresh_from_db()
    lost.refresh_from_db()
    assert held.lease_expires_at is not None
    assert held.lease_expires_at > timezone.now()
    assert lost.lease_expires_at == past


def lose(execution: ExecutionLog) -> ExecutionLog:
    """Its worker claims it and is never heard of again."""
    execution.refresh_from_db()
    ExecutionLog.objects.filter(id=execution.id).update(next_run_at=None)
    assert claim(fence_of(execution, attempt=execution.attempt + 1), seq=execution.seq)
    ExecutionLog.objects.filter(id=execution.id).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert lifecycle.reap() == 1
    execution.refresh_from_db()
    return execution


def test_a_lost_execution_is_queued_again_a_little_later() -> None:
    execution = lose(make_queued())
    assert (execution.status, execution.losses, execution.attempt) == ("queued", 1, 1)
    assert execution.next_run_at is not None
    assert execution.next_run_at > timezone.now()
    assert execution.dispatched_at is None
    assert lifecycle.reap() == 0


def test_an_execution_that_is_lost_three_times_in_a_row_has_failed() -> None:
    execution = make_queued()
    assert [lose(execution).status for _ in range(3)] == ["queued", "queued", "failed"]
    assert execution.error_code == "worker_lost"
    assert ExecutionEvent.objects.filter(execution=execution).latest("seq").type == "execution.failed"


def test_a_new_result_starts_the_count_of_losses_again() -> None:
    execution = make_queued()
    lose(execution)
    lose(execution)
    ExecutionLog.objects.update(next_run_at=None)
    fence = fence_of(execution, attempt=3)
    claim(fence)
    with transaction.atomic():
        assert lifecycle.advance({fence: 5}, progressed={execution.id})
    execution.refresh_from_db()
    assert (execution.losses, execution.seq) == (0, 5)


def test_a_released_execution_is_queued_at_once_without_a_loss() -> None:
    execution = make_queued()
    claim(fence_of(execution))
    with transaction.atomic():
        assert lifecycle.release(fence_of(execution), 3)
    execution.refresh_from_db()
    assert (execution.status, execution.losses, execution.next_run_at) == ("queued", 0, None)
    assert claim(fence_of(execution, attempt=2)) == {execution.id}


def test_a_lost_execution_that_was_to_be_cancelled_is() -> None:
    execution = make_queued()
    claim(fence_of(execution))
    lifecycle.request_cancel(execution_id=execution.id, by="user:alice")
    ExecutionLog.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    lifecycle.reap()
    execution.refresh_from_db()
    assert (execution.status, execution.error) == ("cancelled", "Cancelled by user:alice.")


def test_an_execution_that_is_given_back_by_a_worker_that_has_not_heard_of_its_cancellation_is_cancelled() -> None:
    """Nobody would claim it: it would wait until its deadline."""
    execution = make_queued()
    claim(fence_of(execution))
    lifecycle.request_cancel(execution_id=execution.id, by="user:alice")
    with transaction.atomic():
        assert lifecycle.release(fence_of(execution), 3)
    assert lifecycle.reap() == 1
    execution.refresh_from_db()
    assert (execution.status, execution.error) == ("cancelled", "Cancelled by user:alice.")
    assert list(ExecutionEvent.objects.filter(execution=execution).values_list("type", flat=True))[-1] == (
        "execution.cancelled"
    )


def test_what_waited_past_its_deadline_has_timed_out() -> None:
    execution = make_queued(deadline_at=timezone.now() - timedelta(seconds=1))
    lifecycle.reap()
    execution.refresh_from_db()
    assert (execution.status, execution.error_code) == ("failed", "timeout")


def test_a_queued_execution_past_its_deadline_is_no_loss_whatever_this_process_takes_for_the_time() -> None:
    """The database's clock found it: a second look at another clock must not take it for a running one."""
    execution = make_queued(deadline_at=timezone.now() - timedelta(seconds=1), losses=1)
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        assert lifecycle.reap() == 1
    execution.refresh_from_db()
    assert (execution.status, execution.error_code, execution.losses) == ("failed", "timeout", 1)


@pytest.mark.parametrize(("late_by", "status"), [(1, "failed"), (-3600, "queued")], ids=["past it", "before it"])
def test_a_lost_execution_times_out_by_the_clock_that_claims_go_by(late_by: int, status: str) -> None:
    execution = make_queued()
    claim(fence_of(execution))
    past = timezone.now() - timedelta(seconds=1)
    ExecutionLog.objects.update(lease_expires_at=past, deadline_at=timezone.now() - timedelta(seconds=late_by))
    with time_machine.travel(timezone.now() + timedelta(hours=2 if late_by < 0 else -2)):
        assert lifecycle.reap() == 1
    execution.refresh_from_db()
    assert execution.status == status


def lapse(execution: ExecutionLog, *, seconds: int) -> None:
    """It runs; its lease has been over for so long, and two workers were lost with it already."""
    assert claim(fence_of(execution))
    over = timezone.now() - timedelta(seconds=seconds)
    ExecutionLog.objects.filter(id=execution.id).update(lease_expires_at=over, losses=2)


def test_one_that_cannot_be_reaped_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    broken, sound, waiting = make_queued(make_deployment("a")), make_queued(make_deployment("b")), make_queued()
    lapse(broken, seconds=20)
    lapse(sound, seconds=10)
    ExecutionLog.objects.filter(id=waiting.id).update(deadline_at=timezone.now() - timedelta(seconds=1))
    # Its last event finds its place taken.
    ExecutionEvent.objects.create(execution=broken, seq=2, type="execution.started", at=timezone.now())
    assert lifecycle.reap() == 2
    assert [ExecutionLog.objects.get(id=row.id).status for row in (broken, sound, waiting)] == [
        "running",
        "failed",
        "failed",
    ]
    assert str(broken.id) in caplog.text


def test_an_outage_ends_the_reaping() -> None:
    execution = make_queued()
    lapse(execution, seconds=1)

    def refuse(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *args)

    with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
        lifecycle.reap()


def test_who_is_overdue_the_longest_is_reaped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    later, sooner = make_queued(make_deployment("a")), make_queued(make_deployment("b"))
    lapse(later, seconds=10)
    lapse(sooner, seconds=20)
    now = timezone.now()
    patient, overdue = (
        make_queued(make_deployment(path), deadline_at=now - timedelta(seconds=late))
        for path, late in (("c", 1), ("d", 9))
    )
    monkeypatch.setattr(ending, "REAPED_AT_ONCE", 1)
    assert lifecycle.reap() == 2
    assert [ExecutionLog.objects.get(id=row.id).status for row in (later, sooner, patient, overdue)] == [
        "running",
        "failed",
        "queued",
        "failed",
    ]


def test_a_lease_that_holds_is_left_alone() -> None:
    execution = make_queued()
    claim(fence_of(execution))
    assert lifecycle.reap() == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "running"},
        {"status": "completed"},
        {"lease_expires_at": timezone.now()},
        {"completed_at": timezone.now()},
    ],
    ids=["running without a lease", "ended without its time", "queued with a lease", "queued with an end"],
)
def test_the_database_refuses_what_must_not_be(fields: dict[str, object]) -> None:
    execution = make_queued()
    with pytest.raises(IntegrityError), transaction.atomic():
        ExecutionLog.objects.filter(id=execution.id).update(**fields)
    assert connection.is_usable()


def test_a_call_has_one_recorded_result() -> None:
    execution = make_queued()
    fields = {"execution": execution, "type": "agent.completed", "key": "a/turn/0/w", "at": timezone.now()}
    ExecutionEvent.objects.create(seq=2, **fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        ExecutionEvent.objects.create(seq=3, **fields)
