"""Retention beside others at the same rows, as only PostgreSQL lets them be; in the lane that has one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from deployments.executions.rerunning import rerun_execution
from deployments.executions.reused import ParentGone
from deployments.models import Deployment, ExecutionEvent, ExecutionLog, RetentionTally
from deployments.retention import removing
from deployments.retention.sweep import RetentionSweep
from deployments.tests.builders import make_deployment, make_queued
from deployments.tests.test_history_retention import ended, left, sweep

pytestmark = [pytest.mark.distributed, pytest.mark.django_db(transaction=True)]

PATIENCE = 20.0


def elsewhere(work: Callable[[], Any]) -> Any:
    """What comes of it in another thread, with a connection of its own, while this one's transaction is open."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result(PATIENCE)


@pytest.fixture
def deployment(db: None) -> Deployment:
    deployment = make_deployment(keep_payload_days=5, keep_history_days=15)
    for days in (30, 20, 10, 1):
        ended(deployment, days)
    return deployment


def test_what_somebody_holds_is_left_at_once_and_found_the_next_day(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = ExecutionLog.objects.get(created_at__lt=timezone.now() - timedelta(days=25))
    retention = RetentionSweep()
    with transaction.atomic():
        ExecutionLog.objects.select_for_update(no_key=True).get(id=held.id)  # as a re-run holds its parent
        elsewhere(lambda: retention.run(seconds=PATIENCE / 2))
    assert left(deployment) == {30: "whole", 10: "row", 1: "whole"}
    tomorrow = timezone.now() + timedelta(hours=24)
    monkeypatch.setattr("deployments.retention.sweep.timezone.now", lambda: tomorrow)
    retention.run(seconds=PATIENCE / 2)
    assert 30 not in left(deployment)


@pytest.mark.parametrize("what", ["payloads", "executions"])
def test_nobody_waits_for_a_batch_that_is_open(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    tally, seen = removing._tally, []
    kept = ExecutionLog.objects.get(created_at__gt=timezone.now() - timedelta(days=2))

    def write() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        make_queued(Deployment.objects.select_related("team", "design", "version").get())
        Deployment.objects.update(execution_count=7)
        rerun_execution(parent_id=kept.id, start_from="start", by="user:test", input_data={"text": "again"})

    def tally_late(owner_id: Any, of: Any, by_team: Any) -> None:
        if of == what:
            elsewhere(write)
            seen.append(of)
        tally(owner_id, of, by_team)

    monkeypatch.setattr(removing, "_tally", tally_late)
    sweep()
    assert seen == [what]
    assert ExecutionLog.objects.filter(status="queued").count() == 2


def test_a_rerun_that_waited_for_its_parents_removal_is_refused(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = ExecutionLog.objects.get(created_at__lt=timezone.now() - timedelta(days=25))
    answers = []
    with ThreadPoolExecutor(1) as thread:

        def ask() -> str:
            try:
                rerun_execution(parent_id=parent.id, start_from="start", by="user:test", input_data={"text": "new"})
            except ParentGone as gone:
                return str(gone)
            finally:
                connection.close()
            return "accepted"

        with transaction.atomic():
            ExecutionLog.objects.select_for_update().get(id=parent.id)
            answer = thread.submit(ask)
            wait_until_locked()
            parent.delete()
        answers.append(answer.result(PATIENCE))
    assert answers == ["This execution was deleted in the meantime."]


def wait_until_locked() -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    end = timezone.now() + timedelta(seconds=PATIENCE)
    while timezone.now() < end:
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone() != (0,):
                return
    pytest.fail("Nobody waited for the row.")


@pytest.mark.parametrize("what", ["payloads", "executions"])
def test_a_sweep_that_is_killed_leaves_no_execution_half_removed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    tally = removing._tally

    def die(owner_id: Any, of: Any, by_team: Any) -> None:
        if of == what:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        tally(owner_id, of, by_team)

    with monkeypatch.context() as patched:
        patched.setattr(removing, "_tally", die)
        with pytest.raises(OperationalError):
            elsewhere(sweep)
    after = {30: "whole", 20: "whole", 10: "whole", 1: "whole"}
    assert left(deployment) == (after if what == "payloads" else {30: "row", 20: "row", 10: "row", 1: "whole"})
    whole = ExecutionLog.objects.filter(payload_removed_at=None)
    assert ExecutionEvent.objects.count() == 2 * whole.count()
    sweep()
    assert left(deployment) == {10: "row", 1: "whole"}
    counted = RetentionTally.objects.get()
    assert (counted.payloads, counted.executions) == (3, 2)
