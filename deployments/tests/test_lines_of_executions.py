"""What is logged on behalf of an execution, by whatever thread and module, names it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from structlog.contextvars import get_contextvars

from deployments.executions.worker import Worker
from deployments.tests.worker_runs import deploy, running, start
from designs.models import DesignVersion
from executor.orchestrator import MultiAgentOrchestrator
from rest.request_id import _current

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_line_that_is_logged_on_behalf_of_an_execution_names_it(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is logged by the engine, which knows no executions, and by the threads that ask the database for it."""

    async def fail(*_: object) -> None:
        raise RuntimeError("The engine is broken.")

    monkeypatch.setattr(MultiAgentOrchestrator, "call", fail)
    unreadable = start(deploy(path="unreadable")).execution
    DesignVersion.objects.filter(id=unreadable.version_id).update(document={"format": 1, "blocks": "none"})
    with asked_by("asked-42"):
        first = start(deploy(path="one")).execution
    executions = [first, start(deploy(path="two")).execution, unreadable]
    lines = Lines()
    for name in ("executor", "deployments"):
        logging.getLogger(name).addHandler(lines)
    try:
        with running(worker, *executions):
            pass
    finally:
        for name in ("executor", "deployments"):
            logging.getLogger(name).removeHandler(lines)
    assert {("executor.block_execution", str(execution.id)) for execution in executions[:2]} <= lines.seen
    assert ("deployments.executions.worker", str(unreadable.id)) in lines.seen
    assert None not in {execution_id for _, execution_id in lines.seen}
    assert {named for named in lines.requests if named[1] is not None} == {(str(first.id), "asked-42")}


class Lines(logging.Handler):
    """The logger and the execution of each line."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, str | None]] = set()
        self.requests: set[tuple[str | None, str | None]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        named = get_contextvars()
        self.seen.add((record.name, named.get("execution_id")))
        self.requests.add((named.get("execution_id"), named.get("request_id")))


@contextmanager
def asked_by(request_id: str) -> Iterator[None]:
    """As within the request of that id."""
    token = _current.set(request_id)
    try:
        yield
    finally:
        _current.reset(token)
