"""Running a design from a Python prompt: the whole engine in memory, without a server, a database or a queue.

from executor.run import run_design_sync
result = run_design_sync(document, {"text": "…"})
print(result.output)
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from executor.budget import ExecutionBudget, Limits
from executor.clock import Clock, SystemClock
from executor.deployment_executor import DeploymentExecutor
from executor.document import parse_design
from executor.errors import InvalidDesign, InvalidInput
from executor.events import DeltaSink, Event, EventType, RecordedEvent
from executor.journal import InMemoryJournal, Journal
from executor.json_schema import validate_instance
from executor.json_types import JsonObject
from executor.orchestrator import MultiAgentOrchestrator
from executor.payload import Payload
from executor.providers.accounts import accounts_from_environment
from executor.providers.contract import ModelProvider
from executor.providers.registry import ProviderRegistry
from executor.results import ExecutionResult
from executor.spec import Design
from executor.validation import validate_design

EventSink = Callable[[RecordedEvent], None]

#: The ceilings when none are given. Money has none: a model whose price is not known could then not run at all.
DEFAULT_LIMITS = Limits(max_calls=1_000, max_tokens=2_000_000, max_payload_bytes=32 * 1024 * 1024)
DEFAULT_DEADLINE_SECONDS = 900.0


async def run_design(
    document: Design | JsonObject,
    input_data: JsonObject,
    *,
    models: ModelProvider | None = None,
    limits: Limits | None = None,
    journal: Journal | None = None,
    on_event: EventSink | None = None,
    on_delta: DeltaSink | None = None,
    deadline_seconds: float | None = DEFAULT_DEADLINE_SECONDS,
) -> ExecutionResult:
    """Check the design and its input, then run it. A block's failure is in the result; it is not raised.

    `models` default to the accounts that the environment names (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, …) and `offline:`.
    `journal` can hold an earlier run of the same design, which is then resumed. `on_event` sees every event that is
    recorded, `on_delta` the text of agents as it is written; both are called on the event loop and must be quick.
    Raises `MalformedDesign`, `InvalidDesign` and `InvalidInput` before anything runs.
    """
    limits = DEFAULT_LIMITS if limits is None else limits
    design = document if isinstance(document, Design) else parse_design(document)
    async with AsyncExitStack() as connections:
        if models is None:
            models = registry = ProviderRegistry(accounts_from_environment(os.environ))
            connections.push_async_callback(registry.aclose)
        _check(design, input_data, models, limits)
        payload = Payload(limits.max_payload_bytes)
        clock, kept = SystemClock(), InMemoryJournal() if journal is None else journal
        recording = kept if on_event is None else _Announced(kept, on_event)
        orchestrator = MultiAgentOrchestrator(
            models=models,
            journal=recording,
            budget=ExecutionBudget(limits),
            clock=clock,
            on_delta=on_delta,
            deadline=None if deadline_seconds is None else clock.monotonic() + deadline_seconds,
            payload=payload,
        )
        await orchestrator.restore()
        executor = DeploymentExecutor(orchestrator=orchestrator, journal=recording, clock=clock, payload=payload)
        result = await executor.execute_design(design, input_data)
        _record_end(result, recording, clock)
        await recording.flush()
        return result


def run_design_sync(document: Design | JsonObject, input_data: JsonObject, **options: Any) -> ExecutionResult:
    """`run_design`, with the same options, where no event loop runs."""
    return asyncio.run(run_design(document, input_data, **options))


def _check(design: Design, input_data: JsonObject, models: ModelProvider, limits: Limits) -> None:
    if problems := validate_design(design, models=models, limits=limits):
        raise InvalidDesign(problems)
    if design.input_schema is not None and (problems := validate_instance(design.input_schema, input_data)):
        raise InvalidInput(problems)


def _record_end(result: ExecutionResult, journal: Journal, clock: Clock) -> None:
    """Record how it ended, unless the run that this one resumes had ended so already."""
    failure = result.failure
    event_type: EventType = "execution.completed" if failure is None else "execution.failed"
    if journal.event_of(event_type) is not None:
        return
    payload: JsonObject = {"usage": result.usage.counts(), "cost": result.usage.cost_text()}
    if failure is not None:
        payload |= {"code": failure.code, "message": failure.message}
        payload |= {"block_id": failure.block_id, "agent": failure.agent, "cause": failure.cause}
    journal.append(Event(event_type, clock.now(), payload=payload))


class _Announced:
    """A journal that tells of every event it appends."""

    def __init__(self, journal: Journal, on_event: EventSink) -> None:
        self._journal = journal
        self._on_event = on_event

    def result_of(self, key: str) -> RecordedEvent | None:
        return self._journal.result_of(key)

    def reusable(self, key: str) -> RecordedEvent | None:
        return self._journal.reusable(key)

    def calls_without_result(self) -> Sequence[RecordedEvent]:
        return self._journal.calls_without_result()

    def earlier_calls(self) -> Sequence[RecordedEvent]:
        return self._journal.earlier_calls()

    def held_bytes(self) -> int:
        return self._journal.held_bytes()

    def event_of(self, event_type: EventType, block_id: str | None = None) -> RecordedEvent | None:
        return self._journal.event_of(event_type, block_id)

    def append(self, event: Event) -> int:
        position = self._journal.append(event)
        self._on_event(RecordedEvent(event, position))
        return position

    async def flush(self) -> None:
        await self._journal.flush()
