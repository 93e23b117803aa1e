"""Executions of one agent, accepted and run by a worker's own code within the test's process."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from deployments.executions.start import Idempotency, Started, start_execution
from deployments.executions.worker import Worker
from deployments.limits import CallingKey
from deployments.models import Deployment, ExecutionEvent, ExecutionLog
from deployments.tests.builders import make_deployment, make_version, one_agent_document


def deploy(model: str = "offline:demo", *, path: str = "greet", **fields: Any) -> Deployment:
    return make_deployment(path, version=make_version(one_agent_document(model=model)), **fields)


def start(
    deployment: Deployment,
    *,
    key: CallingKey | None = None,
    idempotency: Idempotency | None = None,
    live_text: bool = False,
) -> Started:
    return start_execution(
        deployment=deployment,
        version=deployment.version,
        team_id=deployment.team_id,
        input_data={"name": "Ada"},
        trigger_type="api",
        triggered_by="key:test",
        key=key,
        idempotency=idempotency,
        live_text=live_text,
    )


@contextmanager
def running(worker: Worker, *executions: ExecutionLog) -> Iterator[None]:
    """The executions run meanwhile, each in a thread; all have ended afterwards."""
    threads = [threading.Thread(target=worker.run, args=(execution.id, 0)) for execution in executions]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "It did not happen in 20 seconds."
        time.sleep(0.02)


def types_of(execution: ExecutionLog) -> list[str]:
    return list(ExecutionEvent.objects.filter(execution=execution).order_by("seq").values_list("type", flat=True))
