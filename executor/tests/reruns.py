"""Executions in virtual time with the real orchestrator, and running them again, for tests of what is reused."""

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from executor.budget import ExecutionBudget, Limits
from executor.deployment_executor import DeploymentExecutor
from executor.events import Event, EventType, RecordedEvent
from executor.journal import InMemoryJournal
from executor.json_types import JsonObject
from executor.orchestrator import MultiAgentOrchestrator
from executor.payload import Payload
from executor.providers.contract import ModelAnswer, ModelRequest, Price, SizeSink, TextSink, TokenUsage
from executor.results import ExecutionResult
from executor.reuse import Reuse, select_reuse
from executor.spec import Agent, Design, Role
from executor.tests.builders import make_agent
from executor.tests.clocks import LoopClock, run_in_virtual_time
from executor.tests.models import busy
from executor.tests.valid_answers import any_valid_answer

PRICE = Price(input_per_million=Decimal(1), output_per_million=Decimal(2))
LATER = datetime(2025, 2, 1, tzinfo=UTC)
Answer = Callable[[str, ModelRequest], str]


def say(name: str, request: ModelRequest) -> str:
    """An answer that depends on the model's name and on all that it was told, and on nothing else."""
    told = "\n".join([name, request.system_prompt, *(message.text for message in request.messages)])
    digest = sha256(told.encode()).hexdigest()[:12]
    if request.output_schema is None:
        return f"{name} says {digest}"
    if len(request.messages) == 1 and int(digest, 16) % 8 == 0:
        return f"{name} gets the form wrong at first"
    return json.dumps(any_valid_answer(request.output_schema, digest))


class Models:
    """Answers by `say` or a function like it, after a time that depends on the request. `failing` are keys that fail.

    `requests` are the keys of all that was asked, in order: each agent has one try, so a key is one request.
    """

    default_model = "scripted:any"

    def __init__(self, failing: Collection[str] | Callable[[str], bool] = (), answer: Answer = say) -> None:
        self.requests: list[str] = []
        self.next_key: str | None = None
        self._fails = failing if callable(failing) else failing.__contains__
        self._answer = answer

    def model(self, name: str) -> "Model":
        return Model(name, self)

    def problem_with(self, name: str) -> str | None:
        return None

    def price(self, name: str) -> Price | None:
        return PRICE

    async def answer(self, name: str, request: ModelRequest) -> ModelAnswer:
        key, self.next_key = self.next_key or "", None
        self.requests.append(key)
        text = self._answer(name, request)
        await asyncio.sleep(0.1 + sum(text.encode()) % 97 / 50)
        if self._fails(key):
            raise busy()
        return ModelAnswer(text, TokenUsage(100, 10))


@dataclass(frozen=True)
class Model:
    """One model of `Models`."""

    name: str
    models: Models

    async def complete(
        self, request: ModelRequest, on_text: TextSink | None = None, on_size: SizeSink | None = None
    ) -> ModelAnswer:
        return await self.models.answer(self.name, request)


class TellingJournal(InMemoryJournal):
    """Tells the models the key of the request that comes next."""

    def __init__(self, recorded: Iterable[RecordedEvent], models: Models) -> None:
        super().__init__(recorded)
        self._models = models

    def append(self, event: Event) -> int:
        if event.type == "agent.started" and not event.is_reused:
            self._models.next_key = event.key
        return super().append(event)


class Execution:
    """One execution of a design: its result, its whole journal, and the keys of what it really asked."""

    def __init__(
        self,
        design: Design,
        *,
        input_data: JsonObject | None = None,
        recorded: Sequence[RecordedEvent] = (),
        limits: Limits | None = None,
        seconds: float | None = None,
        **models: Any,
    ) -> None:
        self.design = design
        self.input_data: JsonObject = {"q": "why"} if input_data is None else input_data
        self.models = Models(**models)
        self.journal = TellingJournal(recorded, self.models)
        limits = limits or Limits()
        self.budget, self.payload = ExecutionBudget(limits), Payload(limits.max_payload_bytes)
        self.result: ExecutionResult | None = run_in_virtual_time(self._execute(seconds))

    async def _execute(self, seconds: float | None) -> ExecutionResult | None:
        clock = LoopClock()
        orchestrator = MultiAgentOrchestrator(
            models=self.models, journal=self.journal, budget=self.budget, clock=clock, payload=self.payload
        )
        await orchestrator.restore()
        executor = DeploymentExecutor(
            orchestrator=orchestrator, journal=self.journal, clock=clock, payload=self.payload
        )
        try:
            async with asyncio.timeout(seconds):
                result = await executor.execute_design(self.design, self.input_data)
        except TimeoutError:
            return None
        if result.failure is None:
            self.journal.append(Event("execution.completed", clock.now()))
        return result

    @property
    def events(self) -> list[RecordedEvent]:
        return self.journal.events

    @property
    def requests(self) -> list[str]:
        return self.models.requests

    def outputs(self) -> JsonObject:
        """What every block delivered, by id, and what the execution did."""
        assert self.result is not None
        return {**self.result.result_data(), "usage": None, "cost": None}

    def keys(self, *types: EventType, reused: bool | None = None) -> list[str]:
        """The keys of events of these types; those that are reused, or are not, where that is asked."""
        wanted = [entry.event for entry in self.events if entry.event.type in types]
        return [event.key or "" for event in wanted if reused is None or event.is_reused == reused]

    def again(
        self, start_from: str = "failed", *, events: Sequence[RecordedEvent] | None = None, **options: Any
    ) -> "Execution":
        """Another execution, which takes over what a re-run from there reuses of this one (or of these `events`)."""
        options.setdefault("input_data", self.input_data)
        recorded = self.events if events is None else events
        reuse = select_reuse(self.design, recorded, start_from)
        return Execution(self.design, recorded=taken_over(reuse, recorded), **options)


def taken_over(reuse: Reuse, recorded: Iterable[RecordedEvent], source: str = "the parent") -> list[RecordedEvent]:
    """The first events of the re-run's journal: that it was accepted, and what it takes over."""
    accepted = Event("execution.accepted", LATER)
    kept = [reuse.take_over(entry, execution_id=source, at=LATER) for entry in recorded]
    events = [accepted, *(event for event in kept if event is not None)]
    return [RecordedEvent(event, position) for position, event in enumerate(events, 1)]


def agent(name: str, role: Role = "worker", **fields: Any) -> Agent:
    """An agent with a model of its name and one try."""
    return make_agent(name, role, model=f"scripted:{name}", settings={"tries": 1}, **fields)
