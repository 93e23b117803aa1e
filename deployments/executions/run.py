"""Running one execution on the worker's event loop, from its row to its ending."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.utils import timezone

from deployments.executions.journal import DatabaseJournal, read_recorded
from deployments.executions.lifecycle import Ending, Fence
from deployments.executions.limits import ExecutionLimits
from deployments.executions.writer import GroupCommitWriter
from deployments.live.deltas import DeltaStream
from deployments.models import ExecutionLog
from designs.providers import models_to_run
from designs.versions import parse_version
from executor.budget import ExecutionBudget
from executor.clock import SystemClock
from executor.deployment_executor import DeploymentExecutor
from executor.errors import JournalClosed
from executor.events import Event, EventType, RecordedEvent
from executor.json_types import JsonObject
from executor.orchestrator import MultiAgentOrchestrator
from executor.providers.contract import ModelProvider
from executor.spec import Design

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedExecution:
    """What a worker needs of an execution, read before it is claimed."""

    row: ExecutionLog
    design: Design
    models: ModelProvider
    recorded: list[RecordedEvent]


def load_execution(execution_id: UUID, attempt: int) -> LoadedExecution | None:
    """The execution if it is queued at this attempt; None when the message that named it is stale."""
    row = (
        ExecutionLog.objects.select_related("version")
        .defer("version__document")  # it may be large, and this process has probably parsed it already
        .filter(id=execution_id, status=ExecutionLog.Status.QUEUED, attempt=attempt)
        .first()
    )
    if row is None:
        return None
    recorded = read_recorded(execution_id) if row.attempt > 0 else []
    design = parse_version(row.version)
    return LoadedExecution(row, design, models_to_run(design, team_id=row.team_id), recorded)


class ExecutionRun:
    """One attempt. `run` ends the row or gives it back, whatever happens, unless it is not this attempt's."""

    def __init__(self, loaded: LoadedExecution, *, owner: str, writer: GroupCommitWriter) -> None:
        self._loaded = loaded
        row, clock = loaded.row, SystemClock()
        self._limits = ExecutionLimits.from_json(row.limits)
        self._started_at = row.started_at or clock.now()
        self._cancelled_by: str | None = None
        self._is_released = False
        self._task: asyncio.Task[None] | None = None
        self._deltas = DeltaStream(row.id) if row.live_text else None
        self.fence = Fence(row.id, row.attempt + 1, owner)
        self._journal = DatabaseJournal(
            fence=self.fence,
            seq=row.seq,
            deployment_id=row.deployment_id,
            is_limited=row.is_limited,
            started_at=self._started_at,
            recorded=loaded.recorded,
            writer=writer,
        )
        self._orchestrator = MultiAgentOrchestrator(
            models=loaded.models,
            journal=self._journal,
            budget=ExecutionBudget(self._limits.budget()),
            clock=clock,
            on_delta=self._deltas,
            deadline=clock.monotonic() + self._seconds_left(),
        )
        self._executor = DeploymentExecutor(orchestrator=self._orchestrator, journal=self._journal, clock=clock)

    async def run(self) -> None:
        """Claim, execute, end. Returns in silence when the execution is another attempt's."""
        self._task = asyncio.current_task()
        try:
            ending = await self._execute()
            if ending is None:
                await self._journal.release()
            else:
                await self._journal.finish(ending)
        except JournalClosed:
            log.info("Execution %s is not this worker's; nothing more is recorded of it.", self.fence.execution_id)
        finally:
            if self._deltas is not None:
                self._deltas.close()

    def cancel(self, by: str) -> None:
        """Stop the execution; its row ends as cancelled. To be called on the loop that runs it."""
        if self._cancelled_by is None and self._task is not None:
            self._cancelled_by = by
            self._task.cancel()

    def release(self) -> None:
        """Stop the execution and give it back to the queue: the worker is going away. On the loop that runs it."""
        if self._task is not None:
            self._is_released = True
            self._task.cancel()

    async def _execute(self) -> Ending | None:
        try:
            async with asyncio.timeout(self._seconds_left()):
                await self._orchestrator.restore()
                result = await self._executor.execute_design(self._loaded.design, self._loaded.row.input_data)
        except TimeoutError:
            return self._fail("timeout", f"The execution did not end within {self._limits.deadline_seconds} seconds.")
        except asyncio.CancelledError:
            if self._task is None or not (self._cancelled_by or self._is_released):
                raise
            self._task.uncancel()
            if self._cancelled_by is None:
                return None
            return self._end("cancelled", {"by": self._cancelled_by}, error=f"Cancelled by {self._cancelled_by}.")
        except JournalClosed:
            raise
        except Exception:
            log.exception("Execution %s failed inside the engine", self.fence.execution_id)
            return self._fail("internal_error", "The engine failed; the server's log has the details.")
        if result.failure is None:
            return self._end("completed", {}, result_data=result.result_data())
        failure = result.failure
        return self._fail(failure.code, failure.message, failure.block_id, failure.agent, failure.cause)

    def _fail(
        self, code: str, message: str, block_id: str | None = None, agent: str | None = None, cause: str | None = None
    ) -> Ending:
        detail: JsonObject = {"block_id": block_id, "agent": agent, "cause": cause}
        payload = detail | {"code": code, "message": message}
        return self._end("failed", payload, error=message, error_code=code, error_detail=detail)

    def _end(
        self,
        status: Literal["completed", "failed", "cancelled"],
        payload: JsonObject,
        *,
        result_data: JsonObject | None = None,
        error: str = "",
        error_code: str = "",
        error_detail: JsonObject | None = None,
    ) -> Ending:
        """Append the last event, which shows what the row shows, and say how the row ends."""
        now = timezone.now()
        duration_ms = max(0, round((now - self._started_at).total_seconds() * 1000))
        usage = self._orchestrator.usage
        shown: JsonObject = {"usage": usage.counts(), "cost": usage.cost_text(), "duration_ms": duration_ms}
        event_type: EventType = f"execution.{status}"  # type: ignore[assignment] # one of the three that end a run
        self._journal.append(Event(type=event_type, at=now, payload=payload | shown))
        return Ending(
            status=status,
            completed_at=now,
            duration_ms=duration_ms,
            result_data=result_data,
            error=error,
            error_code=error_code,
            error_detail=error_detail,
            usage=usage.counts(),
            cost=usage.cost,
        )

    def _seconds_left(self) -> float:
        deadline = self._loaded.row.deadline_at
        return self._limits.deadline_seconds if deadline is None else (deadline - timezone.now()).total_seconds()
