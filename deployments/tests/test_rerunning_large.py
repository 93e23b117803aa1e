"""Running again what left a journal of thousands of events: in few statements, and never in memory whole."""

import tracemalloc
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deployments.executions.journal import event_row
from deployments.executions.rerunning import rerun_execution
from deployments.models import ExecutionEvent, ExecutionLog
from deployments.tests.builders import make_deployment, make_version
from executor.events import Event, EventType
from executor.json_types import JsonObject

pytestmark = pytest.mark.django_db(transaction=True)


def make_ended(blocks: int, *, size: int) -> ExecutionLog:
    """An ended execution of so many blocks, each with four events, of which one holds `size` characters."""
    deployment = make_deployment("large", version=make_version(large_document(blocks)))
    now = timezone.now()
    execution = ExecutionLog.objects.create(
        team=deployment.team,
        deployment=deployment,
        design=deployment.design,
        version=deployment.version,
        trigger_type="api",
        status="failed",
        created_at=now,
        completed_at=now + timedelta(seconds=1),
        seq=4 * blocks,
    )
    answer: JsonObject = {
        "prompt": "x" * size,
        "output": "y",
        "model": "mock:a",
        "usage": {"input_tokens": 1, "output_tokens": 1, "estimated": False},
        "cost": None,
        "duration_ms": 1,
        "tries": 1,
        "error": None,
        "repair": 0,
    }
    done: JsonObject = {"status": "completed", "output": "y", "stopped_reason": "done", "agent_outputs": {}}
    lines: list[tuple[EventType, JsonObject]] = [
        ("block.started", {}),
        ("agent.started", {}),
        ("agent.completed", answer),
        ("block.completed", done),
    ]
    for number in range(blocks):
        rows = []
        for place, (event_type, payload) in enumerate(lines):
            key = f"b{number}/turn/0/worker" if event_type.startswith("agent.") else None
            event = Event(event_type, now, f"b{number}", None, key, payload)
            rows.append(event_row(execution.id, 4 * number + place + 1, event))
        ExecutionEvent.objects.bulk_create(rows)
    return execution


def rerun(parent: ExecutionLog) -> ExecutionLog:
    return rerun_execution(parent_id=parent.id, start_from="b0", by="user:alice").execution


def large_document(blocks: int) -> JsonObject:
    agents: list[Any] = [{"id": "worker", "name": "Worker", "model": "mock:a"}]
    made: list[Any] = [
        {"id": f"b{number}", "type": "sequential", "data": {"label": f"B{number}", "agents": agents}}
        for number in range(blocks)
    ]
    return {"format": 1, "name": "Large", "blocks": made, "connections": []}


def test_two_thousand_blocks_are_copied_in_few_statements() -> None:
    blocks = 2_000
    parent = make_ended(blocks, size=10)
    with CaptureQueriesContext(connection) as queries:
        again = rerun(parent)
    assert ExecutionEvent.objects.filter(execution=again).count() == again.seq == 4 * (blocks - 1) + 1
    statements = Counter(query["sql"].split()[0] for query in queries)
    assert sum(statements.values()) < 4 * blocks / 80, statements


def test_a_large_journal_is_never_in_memory_whole() -> None:
    blocks, size = 800, 10_000
    parent = make_ended(blocks, size=size)
    rerun(parent)  # what is loaded once, the version's document above all, is not counted below
    tracemalloc.start()
    rerun(parent)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < blocks * size / 2, peak
