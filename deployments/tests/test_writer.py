"""Group commit: many executions in one transaction, and none of them harmed by another's lost fence or bad data."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import pytest
import uuid_utils.compat
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from deployments.executions import writer as writer_module
from deployments.executions.lifecycle import Ending, Fence, FenceLost
from deployments.executions.writer import GroupCommitWriter, Write, WriterStopped, commit_writes
from deployments.models import ExecutionEvent, ExecutionLog
from deployments.tests.builders import make_deployment, make_queued, make_version
from executor.json_types import JsonObject


def event(execution: ExecutionLog, seq: int, *, key: str = "", event_type: str = "agent.completed") -> ExecutionEvent:
    return ExecutionEvent(
        id=uuid_utils.compat.uuid7(), execution=execution, seq=seq, type=event_type, key=key, at=timezone.now()
    )


def claiming(execution: ExecutionLog, **fields: object) -> Write:
    """A first write, which claims and records one event."""
    write = {
        "fence": Fence(execution.id, execution.attempt + 1, "worker-a"),
        "seq": 2,
        "events": (event(execution, 2, event_type="execution.started"),),
        "claimed_at": timezone.now(),
        "deployment_id": execution.deployment_id,
    }
    return Write(**(write | fields))  # type: ignore[arg-type]


def recording(execution: ExecutionLog, *, attempt: int = 1, key: str = "", seq: int = 3, **fields: object) -> Write:
    """A later write of that attempt, which records one result."""
    fence = Fence(execution.id, attempt, "worker-a")
    return Write(fence, seq, (event(execution, seq, key=key),), **fields)  # type: ignore[arg-type]


def completed() -> Ending:
    return Ending(status="completed", completed_at=timezone.now(), duration_ms=1, result_data={"output": "x"})


def seqs(execution: ExecutionLog) -> list[int]:
    return list(ExecutionEvent.objects.filter(execution=execution).order_by("seq").values_list("seq", flat=True))


def three_queued() -> list[ExecutionLog]:
    deployment = make_deployment()
    return [make_queued(deployment) for _ in range(3)]


@pytest.mark.django_db
def test_a_run_of_one_agent_needs_two_writes_after_it_was_accepted() -> None:
    execution = make_queued()
    assert commit_writes([claiming(execution)]) == set()
    assert commit_writes([recording(execution, ending=completed(), deployment_id=execution.deployment_id)]) == set()
    execution.refresh_from_db()
    assert (execution.status, execution.seq, execution.attempt) == ("completed", 3, 1)
    assert seqs(execution) == [1, 2, 3]
    assert execution.deployment is not None
    assert execution.deployment.execution_count == 1


@pytest.mark.django_db
def test_a_claim_that_is_not_got_keeps_nothing_and_leaves_the_others() -> None:
    first, second, third = three_queued()
    ExecutionLog.objects.filter(id=second.id).update(cancel_requested_at=timezone.now())
    assert commit_writes([claiming(row) for row in (first, second, third)]) == {second.id}
    assert [seqs(row) for row in (first, second, third)] == [[1, 2], [1], [1, 2]]


@pytest.mark.django_db
def test_a_batch_costs_a_handful_of_statements_whatever_its_size(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    deployment = make_deployment()
    rows = [make_queued(deployment) for _ in range(20)]
    with django_assert_max_num_queries(6):
        commit_writes([claiming(row) for row in rows])
    with django_assert_max_num_queries(5):
        commit_writes([recording(row) for row in rows])


@pytest.mark.django_db
def test_a_lost_fence_keeps_nothing_of_the_whole_batch() -> None:
    first, second, _ = three_queued()
    commit_writes([claiming(first), claiming(second)])
    ExecutionLog.objects.filter(id=second.id).update(attempt=2)
    with pytest.raises(FenceLost):
        commit_writes([recording(first), recording(second)])
    assert [seqs(first), seqs(second)] == [[1, 2], [1, 2]]


@pytest.mark.django_db(transaction=True)
def test_the_writer_tries_each_alone_when_one_fails() -> None:
    """A lost fence and a result that is already recorded fail their own write; the third goes through."""
    lost, repeated, sound = three_queued()
    commit_writes([claiming(row) for row in (lost, repeated, sound)])
    commit_writes([recording(repeated, key="a/turn/0/w")])
    ExecutionLog.objects.filter(id=lost.id).update(lease_owner="worker-b")
    committed: list[UUID] = []
    writer = GroupCommitWriter(on_committed=lambda writes: committed.extend(w.fence.execution_id for w in writes))
    writes = [recording(lost), recording(repeated, key="a/turn/0/w", seq=4), recording(sound)]
    futures = [writer.submit(write) for write in writes]
    writer.start()
    writer.stop()
    assert isinstance(futures[0].exception(timeout=10), FenceLost)
    assert futures[1].exception(timeout=10) is not None
    assert futures[2].exception(timeout=10) is None
    assert committed == [sound.id]
    assert [seqs(row) for row in (lost, repeated, sound)] == [[1, 2], [1, 2, 3], [1, 2, 3]]


@pytest.mark.django_db(transaction=True)
def test_the_writer_outlives_whoever_waited_for_it() -> None:
    """A run that is cancelled while its write is on its way; the write then fails, and the next one is kept."""
    lost, sound, _ = three_queued()
    commit_writes([claiming(lost), claiming(sound)])
    ExecutionLog.objects.filter(id=lost.id).update(lease_owner="worker-b")
    writer = GroupCommitWriter()

    async def wait_and_leave() -> None:
        waiting = asyncio.wrap_future(writer.submit(recording(lost)))
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting

    asyncio.run(wait_and_leave())
    writer.start()
    kept = writer.submit(recording(sound))
    assert kept.exception(timeout=10) is None
    writer.stop()
    assert [seqs(row) for row in (lost, sound)] == [[1, 2], [1, 2, 3]]


@pytest.mark.django_db(transaction=True)
def test_the_writer_outlives_its_own_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, _ = three_queued()

    def announce_wrongly(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise RuntimeError("a mistake")

    monkeypatch.setattr(writer_module, "announce", announce_wrongly)
    writer = GroupCommitWriter()
    writer.start()
    writer.submit(claiming(first)).exception(timeout=10)
    assert writer.submit(claiming(second)).exception(timeout=10) is None
    writer.stop()


@pytest.mark.django_db
def test_json_keeps_the_order_of_its_keys() -> None:
    """A resumed execution makes its prompts from what is stored: they have to be the same to the letter."""
    document: JsonObject = {
        "zebra": 1,
        "apple": {"z": 1, "a": [{"y": 1, "b": 2}]},
        "format": 1,
        "name": "Order",
        "blocks": [],
    }
    version = make_version(document)
    version.refresh_from_db()
    assert str(version.document) == str(document)


def outage(monkeypatch: pytest.MonkeyPatch, *, times: int, after_commit: bool) -> list[int]:
    """The database breaks off that many times, before or after it has committed; the sizes of the batches tried."""
    tried: list[int] = []

    def commit(batch: Sequence[Write]) -> set[UUID]:
        tried.append(len(batch))
        if len(tried) <= times and not after_commit:
            raise OperationalError("server closed the connection unexpectedly")
        lost = commit_writes(batch)
        if len(tried) <= times:
            raise OperationalError("server closed the connection unexpectedly")
        return lost

    monkeypatch.setattr(writer_module, "commit_writes", commit)
    return tried


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("after_commit", "tries"), [(False, 3), (True, 1)], ids=["before", "after the commit"])
def test_a_short_outage_loses_and_repeats_nothing(
    writer: GroupCommitWriter, monkeypatch: pytest.MonkeyPatch, *, after_commit: bool, tries: int
) -> None:
    """Whether the commit that broke off was kept is not known: it is looked up, and not recorded twice."""
    execution = make_queued()
    tried = outage(monkeypatch, times=2, after_commit=after_commit)
    writer.submit(claiming(execution)).result(timeout=20)
    assert len(tried) == tries
    monkeypatch.undo()
    ending = recording(execution, ending=completed(), deployment_id=execution.deployment_id)
    outage(monkeypatch, times=2, after_commit=after_commit)
    writer.submit(ending).result(timeout=20)
    execution.refresh_from_db()
    assert (execution.status, execution.attempt) == ("completed", 1)
    assert seqs(execution) == [1, 2, 3]
    assert execution.deployment is not None
    assert execution.deployment.execution_count == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_follows_a_write_that_was_not_kept(writer: GroupCommitWriter) -> None:
    execution = make_queued()
    writer.submit(claiming(execution)).result(timeout=20)
    writer.submit(recording(execution, key="once")).result(timeout=20)
    refused = writer.submit(recording(execution, key="once", seq=4))
    after = writer.submit(recording(execution, key="twice", seq=5))
    assert isinstance(refused.exception(timeout=20), IntegrityError)
    assert isinstance(after.exception(timeout=20), FenceLost)
    assert seqs(execution) == [1, 2, 3]
    last = Write(Fence(execution.id, 1, "worker-a"), 4, (event(execution, 4),), ending=completed(), is_last_resort=True)
    writer.submit(last).result(timeout=20)
    execution.refresh_from_db()
    assert (execution.status, execution.seq) == ("completed", 4)


@pytest.mark.django_db(transaction=True)
def test_the_writer_outlives_what_follows_a_commit() -> None:
    def fail(writes: Sequence[Write]) -> None:
        raise RuntimeError("not the writer's affair")

    writer = GroupCommitWriter(on_committed=fail)
    writer.start()
    first, second, _ = three_queued()
    writer.submit(claiming(first)).result(timeout=20)
    writer.submit(claiming(second)).result(timeout=20)
    writer.stop()


def test_a_write_after_the_end_fails_at_once() -> None:
    writer = GroupCommitWriter()
    writer.start()
    writer.stop()
    write = Write(Fence(uuid_utils.compat.uuid7(), 1, "worker-a"), 1, ())
    assert isinstance(writer.submit(write).exception(timeout=1), WriterStopped)
