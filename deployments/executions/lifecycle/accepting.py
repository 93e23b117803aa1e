"""How an execution comes to be: queued, or skipped for a scheduled time that does not run."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from deployments.executions.lifecycle.statements import INSERT_EVENTS, INSERT_EXECUTION
from deployments.models import ExecutionEvent, ExecutionLog
from executor.json_types import JsonObject


def accept(execution: ExecutionLog, *, about: JsonObject | None = None) -> None:
    """Insert the queued row and its first event, which says `about` too; inside the accepting transaction."""
    accept_all([execution], about=about)


def accept_all(executions: Sequence[ExecutionLog], *, about: JsonObject | None = None) -> None:
    """Insert rows, each with its first event: queued ones, and with a `reason` those of times that are skipped."""
    for execution in executions:
        execution.seq = 1
        execution.status = ExecutionLog.Status.SKIPPED if execution.reason else ExecutionLog.Status.QUEUED
        execution.completed_at = execution.created_at if execution.reason else None
    INSERT_EXECUTION.insert(executions)
    INSERT_EVENTS.insert([_first_event(execution, about or {}) for execution in executions])


def release_follower(execution_id: UUID, *, deadline_at: datetime) -> bool:
    """Let an execution run that has waited for those before it, with its deadline. False when it did not wait."""
    waiting = ExecutionLog.objects.filter(id=execution_id, status=ExecutionLog.Status.QUEUED, waits_for_previous=True)
    return waiting.update(waits_for_previous=False, deadline_at=deadline_at, dispatched_at=None) == 1


def _first_event(execution: ExecutionLog, about: JsonObject) -> ExecutionEvent:
    payload: JsonObject = {"trigger_type": execution.trigger_type, "triggered_by": execution.triggered_by}
    if execution.reason:
        payload = {"reason": execution.reason}
    payload |= about
    event_type = "execution.skipped" if execution.reason else "execution.accepted"
    return ExecutionEvent(execution_id=execution.id, seq=1, type=event_type, payload=payload, at=execution.created_at)
