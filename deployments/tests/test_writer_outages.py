"""Commits of which nobody knows whether they came through: looked up, never recorded twice, never taken on trust."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from psycopg_pool import PoolTimeout

from deployments.executions import lifecycle
from deployments.executions import writer as writer_module
from deployments.executions.lifecycle import Ending, Fence, FenceLost
from deployments.executions.writer import GroupCommitWriter, Write, commit_writes
from deployments.models import ExecutionLog
from deployments.tests.test_writer import claiming, completed, recording, seqs, three_queued

pytestmark = pytest.mark.django_db(transaction=True)

Meanwhile = Callable[[], object]
WORKER_B = "worker-b"


class Clock:
    """Time that passes only for who sleeps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def break_once(
    monkeypatch: pytest.MonkeyPatch,
    *,
    after_commit: bool,
    then: Meanwhile = lambda: None,
    error: Exception | None = None,
) -> list[int]:
    """The connection breaks in the first commit, before or after it was made; the sizes of the batches tried."""
    tried: list[int] = []

    def commit(batch: Sequence[Write]) -> set[UUID]:
        tried.append(len(batch))
        if len(tried) > 1:
            return commit_writes(batch)
        if after_commit:
            commit_writes(batch)
        then()
        raise error or OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(writer_module, "commit_writes", commit)
    return tried


def refuse_statements(count: int) -> None:
    """The next statements of this thread's connection find no database."""
    left = count

    def refuse(execute: Any, *args: Any) -> Any:
        nonlocal left
        if left == 0:
            return execute(*args)
        left -= 1
        raise OperationalError("connection refused")

    connection.execute_wrappers.append(refuse)


def test_a_look_that_gets_no_answer_is_taken_again(writer: GroupCommitWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed would break unique constraints when it is repeated unseen, and fail a sound execution."""
    execution, *_ = three_queued()
    writer.submit(claiming(execution)).result(timeout=20)
    tried = break_once(monkeypatch, after_commit=True, then=lambda: refuse_statements(2))
    writer.submit(recording(execution, key="once")).result(timeout=20)
    assert (len(tried), seqs(execution)) == (1, [1, 2, 3])


def test_a_commit_that_the_server_was_still_at_is_found(
    writer: GroupCommitWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends between the look and the repetition, which waits for its locks."""
    execution, *_ = three_queued()
    writer.submit(claiming(execution)).result(timeout=20)
    tries = 0

    def commit(batch: Sequence[Write]) -> set[UUID]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OperationalError("server closed the connection unexpectedly")
        commit_writes(batch)
        return commit_writes(batch)

    monkeypatch.setattr(writer_module, "commit_writes", commit)
    writer.submit(recording(execution, key="once")).result(timeout=20)
    assert (tries, seqs(execution)) == (2, [1, 2, 3])


@pytest.mark.parametrize("error", [InterfaceError("closed"), PoolTimeout("full")], ids=type)
def test_whatever_an_outage_is_called_it_is_waited_for(
    writer: GroupCommitWriter, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    execution, *_ = three_queued()
    tried = break_once(monkeypatch, after_commit=False, error=error)
    writer.submit(claiming(execution)).result(timeout=20)
    assert (len(tried), seqs(execution)) == (2, [1, 2])


def test_a_release_proves_nothing_of_what_is_in_the_batch_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reaper took one of the two meanwhile, which looks just as if it had been released."""
    released, recorded, _ = three_queued()
    commit_writes([claiming(released), claiming(recorded)])

    def reap_the_released() -> None:
        ExecutionLog.objects.filter(id=released.id).update(lease_expires_at=timezone.now())
        assert lifecycle.reap() == 1

    break_once(monkeypatch, after_commit=False, then=reap_the_released)
    gone, kept = settle(Write(Fence(released.id, 1, "worker-a"), 2, (), releases=True), recording(recorded))
    assert isinstance(gone, FenceLost)
    assert kept is None
    assert (seqs(released), seqs(recorded)) == ([1, 2], [1, 2, 3])


def test_a_claim_that_another_worker_made_meanwhile_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs is the same attempt, at the same sequence number."""
    contested, recorded, _ = three_queued()
    commit_writes([claiming(recorded)])
    theirs = claiming(contested, fence=Fence(contested.id, 1, WORKER_B))
    break_once(monkeypatch, after_commit=False, then=lambda: commit_writes([theirs]))
    lost, kept = settle(claiming(contested), recording(recorded))
    assert isinstance(lost, FenceLost)
    assert kept is None
    assert (seqs(contested), seqs(recorded)) == ([1, 2], [1, 2, 3])


@pytest.mark.parametrize("is_contested", [False, True], ids=["ours", "another's"])
def test_a_claim_without_events_is_proven_by_its_owner(monkeypatch: pytest.MonkeyPatch, *, is_contested: bool) -> None:
    execution, *_ = three_queued()
    claim = claiming(execution, seq=1, events=())
    theirs = claiming(execution, seq=1, events=(), fence=Fence(execution.id, 1, WORKER_B))
    tried = break_once(
        monkeypatch,
        after_commit=not is_contested,
        then=(lambda: commit_writes([theirs])) if is_contested else lambda: None,
    )
    (error,) = settle(claim)
    assert isinstance(error, FenceLost) == is_contested
    assert len(tried) == 1 + is_contested


def test_what_was_kept_is_kept_although_a_reaper_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal has it; that the execution is another's from now on shows at the next write."""
    execution, *_ = three_queued()
    commit_writes([claiming(execution)])

    def reap() -> None:
        ExecutionLog.objects.filter(id=execution.id).update(lease_expires_at=timezone.now())
        assert lifecycle.reap() == 1

    tried = break_once(monkeypatch, after_commit=True, then=reap)
    assert settle(recording(execution)) == [None]
    assert (len(tried), seqs(execution)) == (1, [1, 2, 3])


def test_one_that_cannot_even_be_sent_takes_no_other_with_it() -> None:
    """A lone surrogate is refused by the driver, with an error that is none of the database's."""
    first, wrong, last = three_queued()
    commit_writes([claiming(row) for row in (first, wrong, last)])
    unsendable = Ending(status="failed", completed_at=timezone.now(), duration_ms=1, error="\ud800")
    errors = settle(recording(first), recording(wrong, ending=unsendable), recording(last, ending=completed()))
    assert [type(error) for error in errors] == [type(None), UnicodeEncodeError, type(None)]
    assert [seqs(row) for row in (first, wrong, last)] == [[1, 2, 3], [1, 2], [1, 2, 3]]


def test_a_batch_waits_for_the_database_no_longer_than_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leases of what waits behind it run out meanwhile."""
    rows = three_queued()
    commit_writes([claiming(row) for row in rows])
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update={"lease_seconds": 1.0}))
    clock = Clock()

    def commit(batch: Sequence[Write]) -> set[UUID]:
        if len(batch) > 1:
            raise FenceLost
        raise OperationalError("connection refused")

    monkeypatch.setattr(writer_module, "commit_writes", commit)
    monkeypatch.setattr(writer_module, "time", clock)
    settle(*(recording(row) for row in rows))
    assert 0 < clock.now <= writer_module.PATIENCE


def settle(*writes: Write) -> list[BaseException | None]:
    """Have a writer commit them as one batch; what each ended with."""
    writer = GroupCommitWriter()
    futures = [writer.submit(write) for write in writes]
    writer.start()
    writer.stop()
    return [future.exception(timeout=20) for future in futures]
