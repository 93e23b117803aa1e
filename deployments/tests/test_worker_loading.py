"""What a worker does with an execution that it cannot read, and with a sweep of which a part fails."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError, ProgrammingError
from psycopg_pool import PoolTimeout

from deployments.executions import lifecycle
from deployments.executions import worker as worker_module
from deployments.executions.worker import UNREADABLE_TRIES, Worker
from deployments.models import ExecutionEvent, ExecutionLog
from deployments.tests.builders import make_deployment, make_queued
from designs.models import DesignVersion
from designs.versions import parse_version

pytestmark = pytest.mark.django_db(transaction=True)


def status_of(execution: ExecutionLog) -> str:
    return str(ExecutionLog.objects.values_list("status", flat=True).get(id=execution.id))


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("x"),
        InterfaceError("connection already closed"),
        PoolTimeout("PostgreSQL was not there a moment ago."),
        ProgrammingError("relation does not exist"),
        OSError("Too many open files"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_be_read_now_stays_queued(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    execution = make_queued()
    with monkeypatch.context() as patched:
        patched.setattr(worker_module, "load_execution", failing(error))
        for _ in range(UNREADABLE_TRIES):
            worker.run(execution.id, 0)
        assert status_of(execution) == "queued"
    worker.run(execution.id, 0)
    assert status_of(execution) == "completed"


def test_a_design_that_cannot_be_read_is_left_to_newer_workers_and_fails_after_several_tries(worker: Worker) -> None:
    execution, other = make_queued(), make_queued(make_deployment("other"))
    DesignVersion.objects.filter(id=execution.version_id).update(document={"format": 2, "name": "From the future"})
    for _ in range(UNREADABLE_TRIES - 1):
        worker.run(execution.id, 0)
    worker.run(other.id, 0)
    assert [status_of(execution), status_of(other)] == ["queued", "completed"]
    worker.run(execution.id, 0)
    execution.refresh_from_db()
    assert (execution.status, execution.error_code) == ("failed", "internal_error")
    assert ExecutionEvent.objects.filter(execution=execution).latest("seq").type == "execution.failed"


def test_a_version_that_is_gone_fails_at_once(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = make_queued()
    monkeypatch.setattr(worker_module, "load_execution", lambda *_: parse_version(UUID(int=0)))
    worker.run(execution.id, 0)
    assert status_of(execution) == "failed"


@pytest.mark.parametrize("broken", ["reap", "release_followers", "dispatch_due"])
def test_a_part_of_the_sweep_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    quick = settings.ENVIRONMENT.model_copy(update={"sweep_seconds": 0.01})
    monkeypatch.setattr(settings, "ENVIRONMENT", quick)
    done: list[str] = []

    def part(name: str) -> Callable[..., None]:
        def do(*_: object) -> None:
            done.append(name)
            if name == broken:
                raise ValueError("one row of its own kind")

        return do

    monkeypatch.setattr(lifecycle, "reap", part("reap"))
    monkeypatch.setattr(worker_module, "release_followers", part("release_followers"))
    monkeypatch.setattr(worker_module, "dispatch_due", part("dispatch_due"))

    async def sweep_twice() -> None:
        sweeping = asyncio.create_task(Worker()._sweep())
        while len(done) < 6 and not sweeping.done():  # noqa: ASYNC110 - written to by threads
            await asyncio.sleep(0.01)
        sweeping.cancel()

    asyncio.run(asyncio.wait_for(sweep_twice(), 20))
    assert done[:6] == ["reap", "release_followers", "dispatch_due"] * 2
