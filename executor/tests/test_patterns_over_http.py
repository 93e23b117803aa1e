"""The contract of all patterns over HTTP, against a server that lies, stalls, sends garbage and cuts the stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import pytest

from executor.budget import Limits
from executor.clock import SystemClock
from executor.events import Delta
from executor.orchestrator import MAX_REPAIRS
from executor.providers.accounts import Account
from executor.providers.registry import ProviderRegistry
from executor.tests.pattern_runs import Result, assert_ended_by, run_sample, tasks_of_patterns
from executor.tests.pattern_samples import SAMPLES, Sample, is_own_work, names_an_agent
from executor.tests.valid_answers import any_valid_answer
from orchestration_site.proving.mock_provider import ChatRequest, MockProvider, Reply

Answer = Callable[[ChatRequest], Reply | str]

each_sample = pytest.mark.parametrize(
    "sample",
    [
        pytest.param(sample, id=f"{pattern}: {variant}")
        for pattern, variants in SAMPLES.items()
        for variant, sample in variants.items()
    ],
)
streamed_or_not = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[MockProvider, ProviderRegistry]]:
    """The server, and the account of the samples' models on it."""
    async with MockProvider(answer) as server:
        registry = ProviderRegistry([Account("scripted", "openai", server.base_url, allow_private=True)])
        try:
            yield server, registry
        finally:
            await registry.aclose()


async def run_over_http(sample: Sample, answer: Answer, **options: Any) -> tuple[Result, MockProvider]:
    async with serving(answer) as (server, registry):
        result = await run_sample(sample, registry, SystemClock(), **options)
        await server.until(lambda counters: counters.in_flight == 0)
    assert tasks_of_patterns() == []
    return result, server


def lie(request: ChatRequest) -> str:
    """Valid in form, and the same for the same request: nothing in it is meant."""
    seed = sha256(repr((request.model, request.messages)).encode()).hexdigest()
    if request.schema is None:
        return f"{request.model} wrote {seed[:8]}"
    return json.dumps(any_valid_answer(request.schema, seed))


@each_sample
@streamed_or_not
async def test_a_server_that_lies_is_asked_no_more_than_the_config_allows(sample: Sample, *, streamed: bool) -> None:
    deltas: list[Delta] = []
    result, server = await run_over_http(sample, lie, on_delta=deltas.append if streamed else None)
    assert len(result.keys("agent.started")) == server.counters.requests <= sample.most_calls * (1 + MAX_REPAIRS)
    assert result.outcome is not None
    assert is_own_work(result.outcome, result.said)
    assert bool(deltas) is streamed
    assert all(request.streamed is streamed for request in server.requests)


@each_sample
async def test_a_structured_decision_reaches_the_server_with_its_schema(sample: Sample) -> None:
    _, server = await run_over_http(sample, lie)
    deciders = {request.model for request in server.requests if request.schema is not None}
    assert set(sample.fallbacks) <= deciders


@pytest.mark.parametrize(
    ("sample", "decider", "decision"),
    [
        pytest.param(sample, decider, decision, id=f"{pattern}: {variant}, {decider}")
        for pattern, variants in SAMPLES.items()
        for variant, sample in variants.items()
        for decider, decision in sample.fallbacks.items()
    ],
)
@pytest.mark.parametrize("nonsense", ['{"not_in_the_schema": true}', "Certainly! Here is the JSON", "[]"])
async def test_an_invalid_decision_is_repaired_or_falls_back(
    sample: Sample, decider: str, decision: str, nonsense: str
) -> None:
    def invalid(request: ChatRequest) -> Reply | str:
        return nonsense if request.model == decider and request.schema is not None else lie(request)

    result, server = await run_over_http(sample, invalid)
    asked = [request for request in server.requests if request.model == decider and request.schema is not None]
    assert [len(request.messages) for request in asked[:3]] == [1, 3, 5]
    assert result.outcome is not None
    assert f"sample/{decision}" in result.keys("decision")

    def invalid_at_first(request: ChatRequest) -> Reply | str:
        return invalid(request) if len(request.messages) < 1 + 2 * MAX_REPAIRS else lie(request)

    repaired, _ = await run_over_http(sample, invalid_at_first)
    assert repaired.keys("agent.failed") == []
    assert result.keys("agent.failed") != []


@each_sample
@pytest.mark.parametrize(
    ("reply", "streamed"),
    [
        pytest.param(Reply(fault="cut"), False, id="cut"),
        pytest.param(Reply(fault="cut"), True, id="cut stream"),
        pytest.param(Reply(fault="garbage"), False, id="garbage"),
        pytest.param(Reply(fault="garbage"), True, id="garbage stream"),
        pytest.param(Reply(status=401), False, id="401"),
    ],
)
async def test_a_server_that_fails_every_call_fails_the_block_and_an_agent_is_named(
    sample: Sample, reply: Reply, *, streamed: bool
) -> None:
    deltas: list[Delta] = []
    result, server = await run_over_http(sample, lambda _: reply, on_delta=deltas.append if streamed else None)
    assert result.error is not None
    assert names_an_agent(result.error, sample)
    assert server.counters.requests == len(result.keys("agent.started"))


@each_sample
async def test_the_call_budget_is_exact_over_http(sample: Sample) -> None:
    _, server = await run_over_http(sample, lie)
    for allowed in sorted({0, 1, server.counters.requests - 1}):
        result, limited = await run_over_http(sample, lie, limits=Limits(max_calls=allowed))
        assert limited.counters.requests == allowed
        assert_ended_by(result, "max_calls", sample)


@each_sample
async def test_a_server_that_stalls_is_left_at_the_deadline_with_the_best_result_so_far(sample: Sample) -> None:
    _, server = await run_over_http(sample, lie)
    answered = iter(range(server.counters.requests - 1))

    def stall_at_last(request: ChatRequest) -> Reply | str:
        return lie(request) if next(answered, None) is not None else Reply(fault="stall")

    result, stalled = await run_over_http(sample, stall_at_last, deadline=SystemClock().monotonic() + 1.0)
    assert stalled.counters.disconnects > 0
    assert_ended_by(result, "timeout", sample)


@each_sample
@streamed_or_not
async def test_cancelling_closes_every_connection_and_leaves_no_task(sample: Sample, *, streamed: bool) -> None:
    sink: list[Delta] = []
    for answered in (0, 1):
        left = iter(range(answered))

        def stall(request: ChatRequest, left: Any = left) -> Reply | str:
            return lie(request) if next(left, None) is not None else Reply(fault="stall")

        async with serving(stall) as (server, registry):
            running = asyncio.create_task(
                run_sample(sample, registry, SystemClock(), on_delta=sink.append if streamed else None)
            )
            await server.until(lambda counters, needed=answered + 1: counters.requests >= needed)  # type: ignore[misc]  # bound now
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert tasks_of_patterns() == []
            await server.until(lambda counters: counters.in_flight == 0)
            assert server.counters.disconnects > 0
