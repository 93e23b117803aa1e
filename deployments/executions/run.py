"""Running one execution on the worker's event loop, from its row to its ending."""

import asyncio
import logging
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from django.utils import timezone

from deployments.executions.daily_budget import DailyBudget
from deployments.executions.journal import DatabaseJournal, read_recorded
from deployments.executions.lifecycle import MAX_LOSSES, Ending, Fence
from deployments.executions.limits import ExecutionLimits
from deployments.executions.paths import path_of
from deployments.executions.writer import GroupCommitWriter
from deployments.live.deltas import DeltaStream
from deployments.models import ExecutionLog
from deployments.prepared_statements import PreparedRead
from deployments.telemetry import Followers, ObservedRun, RunEnd
from designs.providers import models_to_run
from designs.versions import parse_version
from executor.budget import ExecutionBudget, SharedBudget
from executor.clock import SystemClock
from executor.deployment_executor import DeploymentExecutor
from executor.errors import JournalClosed
from executor.events import Event, EventType, RecordedEvent
from executor.json_types import JsonObject
from executor.orchestrator import MultiAgentOrchestrator
from executor.payload import Payload
from executor.providers.registry import ProviderRegistry
from executor.spec import Design
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

EndStatus = Literal["completed", "failed", "cancelled"]
LAST_EVENTS: dict[EndStatus, EventType] = {
    "completed": "execution.completed",
    "failed": "execution.failed",
    "cancelled": "execution.cancelled",
}
#: The most whole USD that the column holds. More, once written, could not be read again on SQLite.
MAX_COST = Decimal(999_999_999)
#: For so long after its start an execution on its last chance is suspected of having cost its workers.
SUSPECT_SECONDS = 10.0
#: What a run needs of its row.
_COLUMNS = (
    "team_id",
    "deployment_id",
    "api_key_id",
    "schedule_id",
    "version_id",
    "input_data",
    "limits",
    "is_limited",
    "live_text",
    "traceparent",
    "request_id",
    "trigger_type",
    "attempt",
    "losses",
    "seq",
    "created_at",
    "started_at",
    "deadline_at",
)
_QUEUED = PreparedRead(
    ExecutionLog,
    lambda slot: ExecutionLog.objects.filter(
        id=slot("id"), attempt=slot("attempt"), status=ExecutionLog.Status.QUEUED
    ).only(*_COLUMNS),
)


@dataclass(frozen=True)
class LoadedExecution:
    """What a worker needs of an execution, read before it is claimed."""

    row: ExecutionLog
    design: Design
    models: ProviderRegistry
    recorded: list[RecordedEvent]
    path: str


def load_execution(execution_id: UUID, attempt: int) -> LoadedExecution | None:
    """The execution if it is queued at this attempt; None when the message that named it is stale."""
    # To read before the claim is safe: only who holds a running row writes events, and this one is queued. Should
    # another worker claim it in between, the row's attempt is one more, and our claim is not got.
    row = _QUEUED.first(id=execution_id, attempt=attempt)
    if row is None:
        return None
    recorded = read_recorded(execution_id) if row.seq > 1 else []  # by earlier attempts, or taken over by a re-run
    design = parse_version(row.version_id)
    models = models_to_run(design, team_id=row.team_id)
    return LoadedExecution(row, design, models, recorded, path_of(row.deployment_id))


class ExecutionRun:
    """One attempt. `run` ends the row or gives it back, whatever happens, unless it is not this attempt's."""

    def __init__(self, loaded: LoadedExecution, *, owner: str, writer: GroupCommitWriter) -> None:
        self._loaded = loaded
        row, clock = loaded.row, SystemClock()
        self._limits = ExecutionLimits.from_json(row.limits)
        self._clock = clock
        self._began = clock.monotonic()
        self._started_at = row.started_at or clock.now()
        self._cancelled_by: str | None = None
        self._is_released = False
        self._ending: Ending | None = None
        self._task: asyncio.Task[None] | None = None
        self._deltas = DeltaStream(row.id) if row.live_text else None
        self.fence = Fence(row.id, row.attempt + 1, owner)
        self._followers = Followers(())
        self._journal = DatabaseJournal(
            fence=self.fence,
            seq=row.seq,
            deployment_id=row.deployment_id,
            schedule_id=row.schedule_id,
            is_limited=row.is_limited,
            started_at=self._started_at,
            recorded=loaded.recorded,
            writer=writer,
            on_result=None if self._deltas is None else self._deltas.finish,
            on_event=self._note,
        )
        limits = self._limits.budget()
        own, payload = ExecutionBudget(limits), Payload(limits.max_payload_bytes)
        self._daily = DailyBudget(row, attempt=self.fence.attempt) if self._limits.daily else None
        self._orchestrator = MultiAgentOrchestrator(
            models=loaded.models,
            journal=self._journal,
            budget=own if self._daily is None else SharedBudget(own, self._daily),
            clock=clock,
            on_delta=self._deltas,
            deadline=clock.monotonic() + self._seconds_left(),
            payload=payload,
        )
        self._executor = DeploymentExecutor(
            orchestrator=self._orchestrator, journal=self._journal, clock=clock, payload=payload
        )

    async def run(self) -> None:
        """Claim, execute, end. Returns in silence when the execution is another attempt's."""
        self._task = asyncio.current_task()
        self._followers = Followers.of(self._describe)
        try:
            await self._run_or_give_up()
        except asyncio.CancelledError:
            # A second wish to stop came while the first was being recorded; the lease tells the others.
            if not (self._is_released or self._cancelled_by):
                raise
            log.info("Execution %s was left while it ended.", self.fence.execution_id)
        finally:
            self._followers.end(self._run_end())

    @property
    def holds_lease(self) -> bool:
        """Whether the claim is committed. Before that there is nothing to renew, nor to lose."""
        return self._journal.holds_lease

    @property
    def is_last_chance(self) -> bool:
        """Whether the loss of this worker now would be the last one that the execution may have.

        What kills its worker does so early as a rule: who lasts a while makes room for the next suspect, or many of
        them with long calls would miss their deadlines one behind the other.
        """
        is_young = self._clock.monotonic() - self._began < SUSPECT_SECONDS
        return is_young and self._loaded.row.losses >= MAX_LOSSES - 1 and not self._journal.has_progressed

    async def _run_or_give_up(self) -> None:
        try:
            await self._run()
        except JournalClosed:
            await self._give_up()

    async def _run(self) -> None:
        try:
            ending = await self._execute()
        finally:
            if self._deltas is not None:
                self._deltas.close()  # before the last event, which comes last
        if ending is None:
            await self._journal.release()
            return
        await self._journal.finish(ending)
        self._ending = ending
        if self._daily is not None:
            await self._daily.close()

    async def _give_up(self) -> None:
        failure = self._journal.failure
        if failure is None or not self._journal.holds_lease:
            log.info("Execution %s is not this worker's; nothing more is recorded of it.", self.fence.execution_id)
            return
        if isinstance(failure, DATABASE_OUTAGES):
            log.warning("Execution %s is left to another attempt: %s", self.fence.execution_id, failure)
            return
        log.error("Execution %s could not be recorded", self.fence.execution_id, exc_info=failure)
        message = "What this execution produced could not be stored; the server's log has the details."
        event, ending = self._ended("failed", _cause("internal_error", message), error=message, code="internal_error")
        try:
            await self._journal.finish_after_failure(event, ending)
            self._ending = ending
        except Exception as error:  # noqa: BLE001 - the lease ends, and another worker takes it up
            log.warning("Execution %s could not be ended either: %s", self.fence.execution_id, error)

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
        return self._fail(failure.code, failure.message, failure.block_id or None, failure.agent, failure.cause)

    def _fail(
        self, code: str, message: str, block_id: str | None = None, agent: str | None = None, cause: str | None = None
    ) -> Ending:
        detail: JsonObject = {"block_id": block_id, "agent": agent, "cause": cause}
        return self._end("failed", detail | _cause(code, message), error=message, code=code, detail=detail)

    def _end(self, status: EndStatus, payload: JsonObject, **shown: Any) -> Ending:
        event, ending = self._ended(status, payload, **shown)
        self._journal.append(event)
        return ending

    def _ended(
        self,
        status: EndStatus,
        payload: JsonObject,
        *,
        result_data: JsonObject | None = None,
        error: str = "",
        code: str = "",
        detail: JsonObject | None = None,
    ) -> tuple[Event, Ending]:
        """The last event, which shows what the row shows, and how the row ends."""
        now = timezone.now()
        duration_ms = max(0, round((now - self._started_at).total_seconds() * 1000))
        usage = self._orchestrator.usage
        used: JsonObject = {"usage": usage.counts(), "cost": usage.cost_text(), "duration_ms": duration_ms}
        event = Event(type=LAST_EVENTS[status], at=now, payload=payload | used)
        ending = Ending(
            status=status,
            completed_at=now,
            duration_ms=duration_ms,
            result_data=result_data,
            error=error,
            error_code=code,
            error_detail=detail or {},
            usage=usage.counts(),
            cost=None if usage.cost is None else min(usage.cost, MAX_COST),
        )
        return event, ending

    def _note(self, event: Event) -> None:
        self._followers.note(event)

    def _describe(self) -> ObservedRun:
        row = self._loaded.row
        return ObservedRun(
            execution_id=row.id,
            attempt=self.fence.attempt,
            deployment_id=row.deployment_id,
            deployment_path=self._loaded.path,
            trigger=row.trigger_type,
            traceparent=row.traceparent,
            created_at=row.created_at,
            kind_of=self._loaded.models.kind_of,
        )

    def _run_end(self) -> RunEnd:
        if self._ending is not None:
            return RunEnd(self._ending.status, self._ending.error_code, self._ending.duration_ms)
        if not self.holds_lease:
            return RunEnd("unclaimed")
        return RunEnd("released" if self._is_released else "lost")

    def _seconds_left(self) -> float:
        deadline = self._loaded.row.deadline_at
        return self._limits.deadline_seconds if deadline is None else (deadline - timezone.now()).total_seconds()


def _cause(code: str, message: str) -> JsonObject:
    return {"code": code, "message": message}
