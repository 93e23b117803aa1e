"""What every journal promises, as one suite. `JournalContract` is inherited where a journal is tested.

A subclass overrides the fixture `journals`. Nothing here needs more of a journal than its protocol, and time is real:
a journal may do I/O.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, cast

import pytest

from executor.budget import ExecutionBudget, Limits
from executor.calls import AgentCall
from executor.clock import SystemClock
from executor.errors import AgentCallFailed, RepeatedKey
from executor.events import RESULT_TYPES, REUSED, Event, EventType, RecordedEvent
from executor.journal import Journal
from executor.json_types import Json, JsonObject
from executor.orchestrator import MultiAgentOrchestrator
from executor.providers.contract import ModelAnswer, ModelCallError, ModelRequest, Price, SizeSink, TextSink
from executor.tests.models import PRICE, USAGE, busy, refused
from executor.tests.orchestration import make_call
from executor.usage import Usage

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
PLAN_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"workers": {"type": "array", "items": {"type": "string"}}},
    "required": ["workers"],
}
AWKWARD: JsonObject = {
    "text": 'line\nbreak, quote " and \\, Grüße, 世界 😀, \x1b, <script>{{ x }}</script>',
    "numbers": [0, -1, 1.5, 2**53, 1e-9],
    "nested": {"empty": {}, "list": [[], None, True, False, ""]},
    "": "an empty key",
}


class JournalFactory(Protocol):
    """Makes journals of the kind under test, each of an execution of its own."""

    async def open(self, recorded: Sequence[RecordedEvent]) -> Journal:
        """The journal of a new attempt at a new execution, of which exactly this is recorded so far.

        `recorded` is empty, or a prefix of what `durable` returned for a journal of this factory. Where executions
        begin with events of their own, an empty `recorded` means just these.
        """

    async def durable(self, journal: Journal) -> list[RecordedEvent]:
        """Everything that would be left of the journal's execution if the process died now, in order."""


def make_event(event_type: EventType, key: str | None = None, payload: JsonObject | None = None) -> Event:
    return Event(event_type, NOON, "b1", "Ann", key, payload or {})


class JournalContract:
    """The suite. Tests take `journals` alone, so that they run wherever the fixture can be made."""

    @pytest.fixture
    def journals(self) -> JournalFactory:
        raise NotImplementedError("Override this fixture with a factory of the journal under test.")

    async def test_what_is_flushed_is_kept_as_it_was_and_in_order(self, journals: JournalFactory) -> None:
        journal = await journals.open([])
        before = await journals.durable(journal)
        events = [
            make_event("block.started"),
            make_event("decision", "b1/plan", AWKWARD),
            make_event("agent.retrying", "k"),
        ]
        positions = [journal.append(event) for event in events]
        await journal.flush()
        kept = (await journals.durable(journal))[len(before) :]
        assert [entry.event for entry in kept] == events
        assert [entry.position for entry in kept] == positions

    async def test_positions_only_grow_also_over_attempts(self, journals: JournalFactory) -> None:
        first = await journals.open([])
        positions = [first.append(make_event("block.started")) for _ in range(3)]
        await first.flush()
        recorded = await journals.durable(first)
        second = await journals.open(recorded)
        positions += [second.append(make_event("block.started")) for _ in range(3)]
        assert positions == sorted(set(positions))
        await second.flush()
        assert (await journals.durable(second))[: len(recorded)] == recorded

    @pytest.mark.parametrize("event_type", sorted(RESULT_TYPES))
    async def test_a_result_is_found_under_its_key_in_this_attempt_and_the_next(
        self, journals: JournalFactory, event_type: EventType
    ) -> None:
        first = await journals.open([])
        assert first.result_of("b1/k") is None
        event = make_event(event_type, "b1/k", {"output": 1})
        position = first.append(event)
        assert first.result_of("b1/k") == RecordedEvent(event, position)
        await first.flush()
        second = await journals.open(await journals.durable(first))
        assert second.result_of("b1/k") == RecordedEvent(event, position)

    async def test_a_start_is_no_result(self, journals: JournalFactory) -> None:
        journal = await journals.open([])
        journal.append(make_event("agent.started", "b1/k"))
        journal.append(make_event("agent.retrying", "b1/k"))
        assert journal.result_of("b1/k") is None

    async def test_a_second_result_under_one_key_is_refused_in_every_attempt(self, journals: JournalFactory) -> None:
        first = await journals.open([])
        first.append(make_event("agent.completed", "b1/k", {"output": "first"}))
        with pytest.raises(RepeatedKey):
            first.append(make_event("agent.failed", "b1/k"))
        await first.flush()
        recorded = await journals.durable(first)
        second = await journals.open(recorded)
        with pytest.raises(RepeatedKey):
            second.append(make_event("agent.completed", "b1/k", {"output": "second"}))
        second.append(make_event("block.completed"))  # the refused event has left no gap
        await second.flush()
        kept = await journals.durable(second)
        assert [entry.event.type for entry in kept[len(recorded) :]] == ["block.completed"]
        assert [entry.event.payload for entry in kept if entry.event.key == "b1/k"] == [{"output": "first"}]

    async def test_calls_of_earlier_attempts_whose_outcome_is_unknown_are_listed(
        self, journals: JournalFactory
    ) -> None:
        first = await journals.open([])
        for key in ("b1/done", "b1/failed", "b1/lost"):
            first.append(make_event("agent.started", key))
        first.append(make_event("agent.completed", "b1/done"))
        first.append(make_event("agent.failed", "b1/failed"))
        assert list(first.calls_without_result()) == []
        await first.flush()
        second = await journals.open(await journals.durable(first))
        second.append(make_event("agent.started", "b1/new"))
        assert [entry.event.key for entry in second.calls_without_result()] == ["b1/lost"]

    async def test_the_calls_of_earlier_attempts_are_all_there_and_this_attempts_are_not(
        self, journals: JournalFactory
    ) -> None:
        first = await journals.open([])
        types: list[EventType] = ["agent.started", "agent.retrying", "agent.completed", "agent.started", "agent.failed"]
        for number, event_type in enumerate(types):
            first.append(make_event(event_type, f"b1/{number // 3}", {"n": number}))
            first.append(make_event("block.completed"))
        assert list(first.earlier_calls()) == []
        await first.flush()
        recorded = await journals.durable(first)
        second = await journals.open(recorded)
        second.append(make_event("agent.started", "b1/new"))
        assert list(second.earlier_calls()) == [entry for entry in recorded if entry.event.type.startswith("agent.")]

    async def test_what_another_execution_was_answered_is_no_result_and_no_call_of_this_one(
        self, journals: JournalFactory
    ) -> None:
        mark: JsonObject = {REUSED: {"execution_id": "another", "at": "2026-03-01T12:00:00Z"}}
        first = await journals.open([])
        offered = make_event("agent.reusable", "b1/offered", {"output": 1, **mark})
        position = first.append(offered)
        for event_type in ("agent.started", "agent.completed"):
            first.append(make_event(event_type, "b1/reused", mark))
        first.append(make_event("agent.started", "b1/stopped", mark))
        await first.flush()
        second = await journals.open(await journals.durable(first))
        assert second.reusable("b1/offered") == RecordedEvent(offered, position)
        assert second.result_of("b1/offered") is None
        assert second.reusable("b1/reused") is None
        assert second.result_of("b1/reused") is not None
        assert list(second.earlier_calls()) == []
        assert list(second.calls_without_result()) == []
        second.append(make_event("agent.completed", "b1/offered", {"output": 1, **mark}))
        assert second.result_of("b1/offered") is not None

    async def test_what_earlier_attempts_recorded_is_held_and_what_this_one_records_it_counts_itself(
        self, journals: JournalFactory
    ) -> None:
        first = await journals.open([])
        for key in ("b1/done", "b1/lost"):
            first.append(make_event("agent.started", key, {"prompt": "asked", "system_prompt": "ab"}))
        first.append(
            make_event("agent.completed", "b1/done", {"prompt": "asked", "output": {"a": 1}, "text": "answer"})
        )
        first.append(make_event("block.completed", payload={"output": "result"}))
        await first.flush()
        assert first.held_bytes() == 0
        second = await journals.open(await journals.durable(first))
        assert second.held_bytes() == len("ab" + "asked" + "answer" + "result")

    async def test_parallel_branches_may_flush_at_once(self, journals: JournalFactory) -> None:
        journal = await journals.open([])
        before = await journals.durable(journal)

        async def branch(number: int) -> None:
            for step in range(5):
                journal.append(make_event("agent.started", f"b1/{number}/{step}"))
                await journal.flush()

        await asyncio.gather(*(branch(number) for number in range(10)))
        kept = (await journals.durable(journal))[len(before) :]
        assert len({entry.event.key for entry in kept}) == 50
        assert len({entry.position for entry in kept}) == 50

    async def test_a_run_resumed_from_every_prefix_ends_the_same_and_makes_only_the_missing_calls(
        self, journals: JournalFactory
    ) -> None:
        journal = await journals.open([])
        seeds = len(await journals.durable(journal))
        whole = await run_example(journal)
        recorded = await journals.durable(journal)
        # Plan and its repair, four workers of whom one fails, the end; one fallback; the decision.
        assert Counter(entry.event.type for entry in recorded[seeds:]) == {
            "agent.started": 7,
            "agent.completed": 6,
            "agent.failed": 1,
            "agent.retrying": 1,
            "decision": 1,
        }
        for length in range(seeds, len(recorded) + 1):
            prefix = recorded[:length]
            resumed_journal = await journals.open(prefix)
            resumed = await run_example(resumed_journal)
            after = await journals.durable(resumed_journal)
            assert resumed.result == whole.result, f"after {length} events"
            assert resumed.usage == whole.usage, f"after {length} events"
            assert Counter(resumed.prompts) == _missing_prompts(recorded, prefix), f"after {length} events"
            assert resumed.charged_calls == _count_requests(prefix) + len(resumed.prompts), f"after {length} events"
            assert after[:length] == prefix
            assert _result_keys(after) == _result_keys(recorded), f"after {length} events"


@dataclass(frozen=True)
class ExampleRun:
    """How a run of the example ended: its result, and the prompts of the requests that it really sent."""

    result: Json
    usage: Usage
    prompts: tuple[str, ...]
    charged_calls: int


async def run_example(journal: Journal) -> ExampleRun:
    """Run a small orchestration: a repaired plan, a decision, two workers and a failure at once, a fallback, an end."""
    models, budget = ExampleModels(journal), ExecutionBudget(Limits())
    caller = MultiAgentOrchestrator(models=models, journal=journal, budget=budget, clock=SystemClock())
    await caller.restore()
    result = await _orchestrate(caller)
    await journal.flush()
    return ExampleRun(result, caller.usage, tuple(models.prompts), budget.used.calls)


async def _orchestrate(caller: MultiAgentOrchestrator) -> Json:
    plan = await caller.call(make_call("Plan it.", agent="Manager", phase="plan", schema=PLAN_SCHEMA))
    if caller.recorded("b1/chosen") is None:
        caller.record("decision", block_id="b1", key="b1/chosen", payload=cast("JsonObject", plan.output))
    chosen = cast("Event", caller.recorded("b1/chosen")).payload["workers"]
    calls = [_worker_call(name) for name in cast("list[str]", chosen)]
    outcomes = await asyncio.gather(*(caller.call(call) for call in calls), return_exceptions=True)
    failures = [str(outcome) for outcome in outcomes if isinstance(outcome, AgentCallFailed)]
    steps = sorted((step for step in outcomes if not isinstance(step, BaseException)), key=lambda step: step.position)
    told = "; ".join(f"{step.agent}: {step.output}" for step in steps)
    end = await caller.call(make_call(f"Conclude from {told}.", agent="Manager", phase="end"))
    return {"end": end.output, "model": end.model, "order": [step.agent for step in steps], "failures": failures}  # type: ignore[dict-item] # lists of str are lists of Json


def _worker_call(name: str) -> AgentCall:
    if name == "Cas":
        return make_call("Work, Cas.", agent="Cas", phase="work", tries=1, fallbacks=("example:second",))
    return make_call(f"Work, {name}.", agent=name, phase="work")


class ExampleModels:
    """The example's models: their answers depend on the prompt alone, and Dan is refused.

    Bob answers first, then Ann, then Cas, however long the journal takes. Whose answer is recorded has answered.
    """

    default_model = "example:first"

    def __init__(self, journal: Journal) -> None:
        self.prompts: list[str] = []
        self.answered = {name: asyncio.Event() for name in ("Bob", "Ann")}
        for name, event in self.answered.items():
            if journal.result_of(_worker_call(name).key) is not None:
                event.set()

    def model(self, name: str) -> "ExampleModel":
        return ExampleModel(name, self)

    def problem_with(self, name: str) -> str | None:
        return None

    def price(self, name: str) -> Price | None:
        return PRICE

    async def answer(self, model: str, prompt: str) -> str | ModelCallError:
        self.prompts.append(prompt)
        if prompt == "Work, Cas." and model == "example:first":
            return busy()
        if prompt == "Work, Dan.":
            return refused()
        await self._wait_for_turn(prompt)
        if prompt == "Plan it.":
            return '{"workers": "everyone"}'
        if prompt.startswith("Your last answer cannot be used."):
            return '{"workers": ["Bob", "Ann", "Cas", "Dan"]}'
        return f"{model} on {prompt}"

    async def _wait_for_turn(self, prompt: str) -> None:
        if prompt == "Work, Bob.":
            self.answered["Bob"].set()
        if prompt == "Work, Ann.":
            await self.answered["Bob"].wait()
            self.answered["Ann"].set()
        if prompt == "Work, Cas.":
            await self.answered["Ann"].wait()


@dataclass(frozen=True)
class ExampleModel:
    """One of `ExampleModels`."""

    name: str
    models: ExampleModels

    async def complete(
        self, request: ModelRequest, on_text: TextSink | None = None, on_size: SizeSink | None = None
    ) -> ModelAnswer:
        answer = await self.models.answer(self.name, request.messages[-1].text)
        if isinstance(answer, ModelCallError):
            raise answer
        return ModelAnswer(answer, USAGE)


def _result_keys(events: Sequence[RecordedEvent]) -> list[str]:
    return sorted(entry.event.key or "" for entry in events if entry.event.type in RESULT_TYPES)


def _count_requests(events: Sequence[RecordedEvent]) -> int:
    return sum(entry.event.type in {"agent.started", "agent.retrying"} for entry in events)


def _missing_prompts(recorded: Sequence[RecordedEvent], prefix: Sequence[RecordedEvent]) -> Counter[str]:
    """The prompt of every request of the whole run whose key has no result in the prefix."""
    known = set(_result_keys(prefix))
    prompts = {e.event.key: str(e.event.payload["prompt"]) for e in recorded if e.event.type == "agent.started"}
    requests = [e.event.key for e in recorded if e.event.type in {"agent.started", "agent.retrying"}]
    return Counter(prompts[key] for key in requests if key not in known)
