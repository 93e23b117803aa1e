"""Two transactions at one row at the same time, as only PostgreSQL lets them be; in the lane that has one."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from deployments.executions import lifecycle
from deployments.executions.lifecycle import Ending, Fence
from deployments.executions.lifecycle.ending import CancelOutcome
from deployments.models import ExecutionLog
from deployments.scheduling.followers import cancel_previous
from deployments.tests.builders import make_deployment, make_queued, make_schedule

pytestmark = [pytest.mark.distributed, pytest.mark.django_db(transaction=True)]

PATIENCE = 20.0
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def running(**fields: object) -> tuple[ExecutionLog, Fence]:
    execution = make_queued(**fields)  # type: ignore[arg-type]
    fence = Fence(execution.id, 1, "worker-a")
    with transaction.atomic():
        assert lifecycle.claim({fence: 2}, started_at=timezone.now())
    return execution, fence


def while_open(change: Callable[[], object], ask: Callable[[], CancelOutcome | None]) -> CancelOutcome | None:
    """What is answered to who asks while the change is made, and not committed before the question waits for it."""
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            change()
            answer = thread.submit(in_own_connection, ask)
            wait_until_locked(answer)
        return answer.result(PATIENCE)


def in_own_connection(ask: Callable[[], CancelOutcome | None]) -> CancelOutcome | None:
    try:
        return ask()
    finally:
        connection.close()


def wait_until_locked(answer: "Future[CancelOutcome | None]") -> None:
    end = time.monotonic() + PATIENCE
    while not answer.done() and time.monotonic() < end:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.02)
    pytest.fail("Nobody waited for the row.")


def test_what_is_given_back_while_it_is_cancelled_is_cancelled() -> None:
    """A drain commits `queued` between the look for a queued row and the one for a running row."""
    execution, fence = running()
    outcome = while_open(
        lambda: lifecycle.release(fence, 2), lambda: lifecycle.request_cancel(execution_id=execution.id, by="user:a")
    )
    assert outcome == "cancelled"
    execution.refresh_from_db()
    assert (execution.status, execution.cancel_requested_by) == ("cancelled", "user:a")


def test_what_ends_while_it_is_cancelled_has_ended() -> None:
    execution, fence = running()
    ending = Ending(status="completed", completed_at=timezone.now(), duration_ms=1)
    outcome = while_open(
        lambda: lifecycle.finish({fence: (2, ending)}),
        lambda: lifecycle.request_cancel(execution_id=execution.id, by="user:a"),
    )
    assert outcome == "ended"
    execution.refresh_from_db()
    assert (execution.status, execution.cancel_requested_at) == ("completed", None)


def test_what_is_claimed_while_it_is_cancelled_is_left_to_its_worker() -> None:
    execution = make_queued()
    fence = Fence(execution.id, 1, "worker-a")
    outcome = while_open(
        lambda: lifecycle.claim({fence: 2}, started_at=timezone.now()),
        lambda: lifecycle.request_cancel(execution_id=execution.id, by="user:a"),
    )
    assert outcome == "requested"
    assert lifecycle.renew([fence]) == {execution.id: "user:a"}


def test_what_is_given_back_while_its_schedule_cancels_it_is_cancelled() -> None:
    deployment = make_deployment()
    schedule = make_schedule(deployment)
    now = timezone.now()
    earlier, fence = running(deployment=deployment, schedule_id=schedule.id, scheduled_for=now)
    make_queued(deployment, schedule_id=schedule.id, scheduled_for=timezone.now(), waits_for_previous=True)
    while_open(lambda: lifecycle.release(fence, 2), lambda: cancel_previous(schedule_id=schedule.id))
    earlier.refresh_from_db()
    assert (earlier.status, earlier.cancel_requested_by) == ("cancelled", "schedule")
