"""Agent calls over real HTTP, against a server that limits, fails, stalls, hangs up, lies and talks nonsense."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from executor.budget import ExecutionBudget, Limits
from executor.clock import SystemClock
from executor.errors import CeilingReached, InvalidOutput, ProviderFailed
from executor.events import Delta, Event, EventType, RecordedEvent
from executor.journal import InMemoryJournal
from executor.orchestrator import MultiAgentOrchestrator
from executor.providers.accounts import Account
from executor.providers.contract import Price
from executor.providers.registry import ProviderRegistry
from executor.tests.orchestration import ANSWER_SCHEMA, make_call
from orchestration_site.proving.mock_provider import InOrder, MockProvider, Reply, Script

PRICES = {"mock": Price(Decimal(1), Decimal(2))}


@dataclass
class Run:
    """An orchestrator whose models are on the server."""

    server: MockProvider
    orchestrator: MultiAgentOrchestrator
    journal: InMemoryJournal
    budget: ExecutionBudget
    deltas: list[Delta] = field(default_factory=list)

    def events(self, event_type: EventType) -> list[Event]:
        return [entry.event for entry in self.journal.events if entry.event.type == event_type]

    def statuses(self) -> dict[str, int]:
        return dict(self.server.counters.by_status)


@asynccontextmanager
async def running(
    script: Script | None = None,
    *,
    limits: Limits | None = None,
    live: bool = False,
    recorded: Sequence[RecordedEvent] = (),
) -> AsyncIterator[Run]:
    """A run whose accounts `local` and `spare` are both on one server."""
    async with MockProvider(script) as server:
        accounts = [
            Account(name, "openai", server.base_url, allow_private=True, prices=PRICES) for name in ("local", "spare")
        ]
        registry = ProviderRegistry(accounts, default_model="local:mock")
        journal, budget, deltas = InMemoryJournal(recorded), ExecutionBudget(limits or Limits()), list[Delta]()
        orchestrator = MultiAgentOrchestrator(
            models=registry,
            journal=journal,
            budget=budget,
            clock=SystemClock(),
            on_delta=deltas.append if live else None,
        )
        try:
            yield Run(server, orchestrator, journal, budget, deltas)
        finally:
            await registry.aclose()


async def test_a_call_is_answered_priced_and_recorded() -> None:
    async with running() as run:
        step = await run.orchestrator.call(make_call("Hello", system_prompt="Be brief."))
    assert (step.output, step.model, step.tries) == ("Mock answer to: Hello", "local:mock", 1)
    assert not step.usage.estimated
    assert step.cost == Decimal(step.usage.input_tokens + 2 * step.usage.output_tokens) / 1_000_000
    assert [entry.event.type for entry in run.journal.events] == ["agent.started", "agent.completed"]


async def test_a_429_is_waited_for_as_long_as_it_says() -> None:
    async with running() as run:
        step = await run.orchestrator.call(make_call(model="local:status-429-1+retry-after-1"))
    assert (step.tries, run.statuses()) == (2, {"429": 1, "200": 1})
    [retrying] = run.events("agent.retrying")
    assert retrying.payload["wait_seconds"] == 1
    assert "429" in str(retrying.payload["reason"])


async def test_a_failing_server_is_asked_again_until_it_answers() -> None:
    async with running() as run:
        step = await run.orchestrator.call(make_call(model="local:status-500-2"))
    assert (step.tries, run.statuses()) == (3, {"500": 2, "200": 1})
    assert run.budget.used.calls == 3
    assert run.budget.used.tokens == step.usage.input_tokens + step.usage.output_tokens


async def test_a_failing_account_gives_way_to_a_fallback_on_another() -> None:
    async with running() as run:
        step = await run.orchestrator.call(make_call(model="local:status-503", tries=2, fallbacks=("spare:mock",)))
    assert (step.model, step.tries, run.statuses()) == ("spare:mock", 3, {"503": 2, "200": 1})


@pytest.mark.parametrize("words", ["status-401", "status-400", "quota"])
async def test_what_no_retry_mends_is_asked_once_and_never_elsewhere(words: str) -> None:
    async with running() as run:
        with pytest.raises(ProviderFailed) as failed:
            await run.orchestrator.call(make_call(model=f"local:{words}", fallbacks=("spare:mock",)))
    assert run.server.counters.requests == 1
    assert run.events("agent.failed")[0].payload["message"] == str(failed.value)


async def test_a_stream_cut_in_its_middle_is_started_again_from_its_beginning() -> None:
    async with running(live=True) as run:
        step = await run.orchestrator.call(make_call("Tell me all of it", model="local:cut-1"))
    assert step.tries == 2
    starts = [place for place, delta in enumerate(run.deltas) if delta.offset == 0]
    assert len(starts) == 2, "the cut answer had begun to stream"
    last = run.deltas[starts[1] :]
    assert "".join(delta.text for delta in last) == step.text == "Mock answer to: Tell me all of it"
    assert [delta.offset for delta in last] == [sum(len(d.text) for d in last[:n]) for n in range(len(last))]


@pytest.mark.parametrize("live", [False, True])
async def test_a_body_that_is_no_answer_at_all_is_asked_for_again(*, live: bool) -> None:
    async with running(live=live) as run:
        step = await run.orchestrator.call(make_call("Hello", model="local:garbage-1"))
    assert (step.tries, step.output) == (2, "Mock answer to: Hello")


@pytest.mark.parametrize("live", [False, True])
async def test_a_stalled_try_is_cut_off_its_connection_closed_and_tried_again(*, live: bool) -> None:
    async with running(live=live) as run:
        step = await run.orchestrator.call(make_call(model="local:stall-1", timeout_seconds=0.5))
        await run.server.until(lambda counters: counters.disconnects == 1)
    assert step.tries == 2
    assert run.events("agent.retrying")[0].payload["code"] == "timeout"


async def test_the_deadline_ends_a_stalled_request_and_closes_its_connection() -> None:
    async with running() as run:
        call = make_call(model="local:stall", deadline=SystemClock().monotonic() + 0.3)
        with pytest.raises(CeilingReached) as reached:
            await run.orchestrator.call(call)
        await run.server.until(lambda counters: counters.disconnects == 1)
    assert reached.value.reason == "timeout"
    assert run.server.counters.requests == 1


async def test_a_cancelled_call_closes_its_connection_and_leaves_no_result() -> None:
    async with running() as run:
        calling = asyncio.ensure_future(run.orchestrator.call(make_call(model="local:stall")))
        await run.server.until(lambda counters: counters.in_flight == 1)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await run.server.until(lambda counters: counters.disconnects == 1)
    assert [entry.event.type for entry in run.journal.events] == ["agent.started"]


@pytest.mark.parametrize("live", [False, True])
async def test_garbage_in_place_of_json_is_repaired_in_one_conversation(*, live: bool) -> None:
    replies = iter(["No JSON, sorry.", '{"score": "four"}', '```json\n{"score": 4}\n```'])
    async with running(lambda _: next(replies), live=live) as run:
        step = await run.orchestrator.call(make_call("Score it.", schema=ANSWER_SCHEMA))
    assert (step.output, step.tries) == ({"score": 4}, 3)
    roles = [[message["role"] for message in request.messages] for request in run.server.requests]
    assert [len(found) for found in roles] == [1, 3, 5]
    assert roles[2] == ["user", "assistant", "user", "assistant", "user"]
    assert "No JSON, sorry." in json.dumps(run.server.requests[1].messages)
    assert "/score" in run.server.requests[2].last_user_text
    assert all(request.schema == ANSWER_SCHEMA for request in run.server.requests)


async def test_answers_that_never_fit_the_schema_fail_after_three_requests() -> None:
    async with running() as run:
        with pytest.raises(InvalidOutput):
            await run.orchestrator.call(make_call(model="local:invalid-9", schema=ANSWER_SCHEMA))
    assert run.server.counters.requests == 3
    assert run.budget.used.calls == 3


async def test_json_cut_by_the_token_limit_is_repaired_with_that_said() -> None:
    async with running(InOrder([Reply(text='{"scor', finish_reason="length")])) as run:
        step = await run.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    assert step.output == {"score": 0}
    assert "cut off at the limit of output tokens" in run.server.requests[1].last_user_text


@pytest.mark.parametrize("words", ["no-usage", "usage-0-0"])
@pytest.mark.parametrize("live", [False, True])
async def test_usage_that_is_withheld_is_estimated_and_marked(words: str, *, live: bool) -> None:
    async with running(live=live) as run:
        step = await run.orchestrator.call(make_call("Hello there", model=f"local:{words}"))
    assert step.usage.estimated
    assert step.usage.input_tokens >= 4
    assert step.usage.output_tokens >= len(step.text) // 3
    assert run.budget.used.tokens == step.usage.input_tokens + step.usage.output_tokens


async def test_usage_that_is_exaggerated_uses_up_the_budget_and_stops_the_next_call() -> None:
    async with running(limits=Limits(max_tokens=50_000)) as run:
        await run.orchestrator.call(make_call(model="local:usage-1000000-1000000", number=0))
        with pytest.raises(CeilingReached) as reached:
            await run.orchestrator.call(make_call(number=1))
    assert reached.value.reason == "budget"
    assert run.server.counters.requests == 1


async def test_parallel_calls_with_failures_and_repairs_never_send_more_than_the_limit() -> None:
    models = ["mock", "status-500-2", "invalid-2", "garbage-1"]
    calls = [
        make_call(model=f"local:{models[number % 4]}", number=number, schema=ANSWER_SCHEMA) for number in range(20)
    ]
    async with running(limits=Limits(max_calls=7)) as run:
        await asyncio.gather(*(run.orchestrator.call(call) for call in calls), return_exceptions=True)
    assert run.server.counters.requests == 7
    assert run.budget.used.calls == 7


async def test_a_resumed_run_asks_the_server_only_for_what_is_missing() -> None:
    async with running() as first:
        for number in range(3):
            await first.orchestrator.call(make_call(f"Part {number}", number=number))
    async with running(recorded=first.journal.events[:5]) as second:
        steps = [await second.orchestrator.call(make_call(f"Part {number}", number=number)) for number in range(3)]
    assert [step.output for step in steps] == [f"Mock answer to: Part {number}" for number in range(3)]
    assert [step.replayed for step in steps] == [True, True, False]
    assert [request.last_user_text for request in second.server.requests] == ["Part 2"]
