"""Running a sample block through the engine, and what every ending of a run has to be like."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from executor.budget import ExecutionBudget, Limits
from executor.clock import Clock
from executor.errors import CeilingReached, ExecutorError
from executor.events import DeltaSink, RecordedEvent
from executor.journal import InMemoryJournal
from executor.orchestrator import MultiAgentOrchestrator
from executor.patterns import PATTERNS
from executor.patterns.contract import BlockOutcome, BlockRun
from executor.providers.contract import ModelProvider, ModelRequest
from executor.tests.pattern_samples import INPUT, Sample, is_own_work, leaves


@dataclass(frozen=True)
class Result:
    """What one attempt came to: its outcome or its error, its journal, and what it took."""

    outcome: BlockOutcome | None
    error: ExecutorError | None
    events: list[RecordedEvent]
    budget: ExecutionBudget
    requests: Sequence[tuple[str, ModelRequest]] = field(default=())

    @property
    def ending(self) -> tuple[object, ...]:
        return (self.outcome, type(self.error), str(self.error))

    @property
    def said(self) -> set[object]:
        found: set[object] = set()
        for entry in self.events:
            if entry.event.type == "agent.completed":
                found |= leaves(entry.event.payload["output"])
        return found

    @property
    def finished(self) -> set[str | None]:
        """The agents that have given an answer of the form asked for."""
        completed = [entry.event for entry in self.events if entry.event.type == "agent.completed"]
        return {event.agent for event in completed if event.payload["error"] is None}

    def keys(self, event_type: str) -> list[str]:
        return [entry.event.key or "" for entry in self.events if entry.event.type == event_type]


async def run_sample(
    sample: Sample,
    models: ModelProvider,
    clock: Clock,
    *,
    recorded: Iterable[RecordedEvent] = (),
    limits: Limits | None = None,
    deadline: float | None = None,
    on_delta: DeltaSink | None = None,
) -> Result:
    """Run the block once, from a record if there is one. Errors that are not the engine's come out."""
    journal, budget = InMemoryJournal(recorded), ExecutionBudget(limits or Limits())
    orchestrator = MultiAgentOrchestrator(models=models, journal=journal, budget=budget, clock=clock, on_delta=on_delta)
    await orchestrator.restore()
    block = sample.block
    run = BlockRun(block, block.data.config, block.data.task, INPUT, orchestrator, deadline)
    outcome, error = None, None
    try:
        outcome = await PATTERNS[block.type].run(run)
    except ExecutorError as raised:
        error = raised
    return Result(outcome, error, journal.events, budget)


def tasks_of_patterns() -> list[asyncio.Task[object]]:
    """The asyncio tasks that run code of a pattern."""
    codes = [(task, getattr(task.get_coro(), "cr_code", None)) for task in asyncio.all_tasks()]
    return [task for task, code in codes if code is not None and "executor/patterns" in code.co_filename]


def assert_ended_by(result: Result, ceiling: str, sample: Sample) -> None:
    """Once a writer has finished, the outcome is made of its words; before, the ceiling itself comes out."""
    if result.outcome is None:
        assert isinstance(result.error, CeilingReached)
        assert result.error.reason == ceiling
        assert sample.writers.isdisjoint(result.finished)
    else:
        assert result.outcome.stopped_reason == ceiling
        assert leaves(result.outcome.output)
        assert is_own_work(result.outcome, result.said)
