"""The contract of a block run, held by every pattern against models that lie, loop, babble, refuse, stall or dawdle."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from executor.budget import Limits
from executor.errors import BlockFailed
from executor.events import RecordedEvent
from executor.json_types import Json
from executor.orchestrator import MAX_REPAIRS
from executor.patterns import PATTERNS
from executor.providers.contract import ModelAnswer, ModelRequest, TokenUsage
from executor.tests.clocks import LoopClock, run_in_virtual_time
from executor.tests.models import Reply, ScriptedModels, Slow, Stalled, refused
from executor.tests.pattern_runs import Result, assert_ended_by, run_sample
from executor.tests.pattern_samples import SAMPLES, Sample, is_own_work, names_an_agent
from executor.tests.valid_answers import any_valid_answer
from orchestration_site.proving.smallest_instance import smallest_instance

Behaviour = Callable[[str, ModelRequest], Reply]
SEEDS = range(4)
LARGE_USAGE = TokenUsage(input_tokens=1_000, output_tokens=2_000)

each_sample = pytest.mark.parametrize(
    "sample",
    [
        pytest.param(sample, id=f"{pattern}: {variant}")
        for pattern, variants in SAMPLES.items()
        for variant, sample in variants.items()
    ],
)


async def attempt(
    sample: Sample,
    behaviour: Behaviour,
    *,
    recorded: Iterable[RecordedEvent] = (),
    limits: Limits | None = None,
    deadline: float | None = None,
) -> Result:
    """Run the block once. Leaves no task behind, or the test fails."""
    clock, before = LoopClock(), asyncio.all_tasks()
    models = ScriptedModels(behaviour, clock=clock)
    try:
        result = await run_sample(sample, models, clock, recorded=recorded, limits=limits, deadline=deadline)
    finally:
        assert asyncio.all_tasks() <= before
    return replace(result, requests=models.requests)


def seed_of(salt: object, request: ModelRequest) -> str:
    text = "\n".join(message.text for message in request.messages)
    return sha256(f"{salt}\n{request.output_schema}\n{text}".encode()).hexdigest()


def formally_right(salt: object) -> Behaviour:
    """Valid answers that mean nothing: the same for the same request, so that an attempt can be compared."""

    def answer(model: str, request: ModelRequest) -> str:
        seed = seed_of(salt, request)
        if request.output_schema is None:
            return f"{model} wrote {seed[:8]}"
        return json.dumps(any_valid_answer(request.output_schema, model + seed))

    return answer


def never_done(salt: object) -> Behaviour:
    """Says no to every question and gives the worst score to everything, in ever new words."""

    def answer(model: str, request: ModelRequest) -> str:
        seed = seed_of(salt, request)
        if request.output_schema is None:
            return f"{model} goes on {seed[:8]}"
        return json.dumps(denied(any_valid_answer(request.output_schema, model + seed)))

    return answer


def denied(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: denied(member) for name, member in value.items()}
    if isinstance(value, list):
        return [denied(item) for item in value]
    if isinstance(value, bool):
        return False
    return 0.0 if isinstance(value, float) else value


def looping(_: str, request: ModelRequest) -> str:
    return "Again." if request.output_schema is None else json.dumps(smallest_instance(request.output_schema))


def garbage(_: str, request: ModelRequest) -> str:
    return "{ no [ JSON" if request.output_schema is not None else "?!"


def off_schema(_: str, request: ModelRequest) -> str:
    return '{"not_in_the_schema": true}' if request.output_schema is not None else "?!"


def dawdling(behaviour: Behaviour, *, seconds: float | None = None) -> Behaviour:
    """The same answers after some virtual seconds, so that parallel answers come in an order of their own."""

    def answer(model: str, request: ModelRequest) -> Reply:
        text = behaviour(model, request)
        assert isinstance(text, str)
        drawn = 0.1 + int(seed_of(model, request)[:4], 16) / 0xFFFF
        return Slow(drawn if seconds is None else seconds, text)

    return answer


def test_every_pattern_has_samples_in_the_contract() -> None:
    assert set(SAMPLES) == set(PATTERNS), (
        "Add a block of the new pattern to SAMPLES in executor/tests/pattern_samples.py."
    )


@each_sample
def test_a_sample_is_a_valid_block_of_its_pattern(sample: Sample) -> None:
    assert PATTERNS[sample.block.type].check(sample.block, sample.block.data.config) == []


@each_sample
@pytest.mark.parametrize(
    "behaviour",
    [
        *(pytest.param(formally_right(salt), id=f"lies {salt}") for salt in SEEDS),
        *(pytest.param(never_done(salt), id=f"never done {salt}") for salt in SEEDS),
        looping,
        garbage,
        off_schema,
    ],
)
async def test_the_configs_own_ceilings_bound_the_calls(sample: Sample, behaviour: Behaviour) -> None:
    async with asyncio.timeout(20):
        result = await attempt(sample, behaviour)
    first_tries = [entry for entry in result.events if entry.event.type == "agent.started"]
    first_tries = [entry for entry in first_tries if entry.event.payload["repair"] == 0]
    assert len(first_tries) <= sample.most_calls
    assert len(result.requests) <= sample.most_calls * (1 + MAX_REPAIRS)
    if result.error is not None:
        assert names_an_agent(result.error, sample)
    else:
        assert result.outcome is not None
        assert result.outcome.stopped_reason
        assert set(result.outcome.agent_outputs) <= {agent.id for agent in sample.block.agents}
        assert is_own_work(result.outcome, result.said)


@each_sample
@pytest.mark.parametrize("salt", SEEDS)
async def test_the_call_budget_is_exact_and_ends_in_the_best_result_so_far(sample: Sample, salt: int) -> None:
    whole = await attempt(sample, formally_right(salt))
    for allowed in range(len(whole.requests)):
        result = await attempt(sample, formally_right(salt), limits=Limits(max_calls=allowed))
        assert len(result.requests) == allowed
        assert_ended_by(result, "max_calls", sample)


@each_sample
async def test_the_token_budget_holds_and_ends_in_the_best_result_so_far(sample: Sample) -> None:
    def answer(model: str, request: ModelRequest) -> ModelAnswer:
        text = formally_right(0)(model, request)
        assert isinstance(text, str)
        return ModelAnswer(text, LARGE_USAGE)

    whole = await attempt(sample, answer)
    for limit in (whole.budget.used.tokens // 2, whole.budget.used.tokens - 1):
        result = await attempt(sample, answer, limits=Limits(max_tokens=limit))
        assert result.budget.used.tokens <= limit
        assert_ended_by(result, "budget", sample)


@each_sample
def test_a_deadline_ends_in_the_best_result_so_far(sample: Sample) -> None:
    async def take(deadline: float | None) -> tuple[Result, float]:
        result = await attempt(sample, dawdling(formally_right(1), seconds=1.0), deadline=deadline)
        return result, asyncio.get_running_loop().time()

    _, seconds = run_in_virtual_time(take(None))
    for whole_seconds in range(round(seconds)):
        result, ended = run_in_virtual_time(take(whole_seconds + 0.5))
        assert ended == pytest.approx(whole_seconds + 0.5)
        assert_ended_by(result, "timeout", sample)


@each_sample
@pytest.mark.parametrize("salt", SEEDS)
def test_a_run_resumed_from_any_prefix_ends_the_same_and_repeats_no_recorded_call(sample: Sample, salt: int) -> None:
    behaviour = dawdling(formally_right(salt))
    whole = run_in_virtual_time(attempt(sample, behaviour))
    for length in range(len(whole.events) + 1):
        prefix = whole.events[:length]
        done = {entry.event.key for entry in prefix if entry.event.type in {"agent.completed", "agent.failed"}}
        resumed = run_in_virtual_time(attempt(sample, behaviour, recorded=prefix))
        started = [entry.event.key for entry in resumed.events[length:] if entry.event.type == "agent.started"]
        assert resumed.ending == whole.ending
        assert done.isdisjoint(started)
        assert len(resumed.requests) == len(started)
        assert resumed.keys("decision") == list(dict.fromkeys(resumed.keys("decision")))


@each_sample
@pytest.mark.parametrize("salt", SEEDS)
def test_a_resumed_run_keeps_the_ceiling_it_had_met(sample: Sample, salt: int) -> None:
    behaviour = dawdling(formally_right(salt))
    needed = len(run_in_virtual_time(attempt(sample, behaviour)).requests)
    limits = Limits(max_calls=needed - 1)
    whole = run_in_virtual_time(attempt(sample, behaviour, limits=limits))
    assert len(whole.requests) == needed - 1
    for length in range(len(whole.events) + 1):
        prefix = whole.events[:length]
        sent = sum(entry.event.type == "agent.started" for entry in prefix)
        resumed = run_in_virtual_time(attempt(sample, behaviour, recorded=prefix, limits=limits))
        assert sent + len(resumed.requests) <= needed - 1
        assert_ended_by(resumed, "max_calls", sample)


@pytest.mark.parametrize(
    ("sample", "decider", "decision"),
    [
        pytest.param(sample, decider, decision, id=f"{pattern}: {variant}, {decider}")
        for pattern, variants in SAMPLES.items()
        for variant, sample in variants.items()
        for decider, decision in sample.fallbacks.items()
    ],
)
@pytest.mark.parametrize("nonsense", [garbage, off_schema])
async def test_an_invalid_decision_is_sent_back_twice_then_falls_back_and_is_recorded(
    sample: Sample, decider: str, decision: str, nonsense: Behaviour
) -> None:
    def answer(model: str, request: ModelRequest) -> Reply:
        babbles = model == f"scripted:{decider}" and request.output_schema is not None
        return nonsense(model, request) if babbles else formally_right(0)(model, request)

    result = await attempt(sample, answer)
    assert result.outcome is not None
    asked = [request for model, request in result.requests if model == f"scripted:{decider}" and request.output_schema]
    assert [len(request.messages) for request in asked[:3]] == [1, 3, 5]
    assert "Your last answer cannot be used" in asked[2].messages[-1].text
    assert all(len(request.messages) <= 1 + 2 * MAX_REPAIRS for request in asked)
    assert f"sample/{decision}" in result.keys("decision")


@each_sample
async def test_a_provider_that_refuses_fails_the_block_and_names_an_agent(sample: Sample) -> None:
    result = await attempt(sample, lambda *_: refused())
    assert result.error is not None
    assert names_an_agent(result.error, sample)
    assert "key was refused" in str(result.error)


@each_sample
async def test_one_agent_that_fails_is_either_borne_or_named(sample: Sample) -> None:
    for failing in sample.block.agents:

        def answer(model: str, request: ModelRequest, failing: str = failing.name) -> Reply:
            return refused() if model == f"scripted:{failing}" else formally_right(2)(model, request)

        result = await attempt(sample, answer)
        assert result.error is None or names_an_agent(result.error, sample)
        assert not isinstance(result.error, BlockFailed) or result.error.agent == failing.name


@each_sample
async def test_cancelling_at_any_call_leaves_nothing_running(sample: Sample) -> None:
    needed = len((await attempt(sample, formally_right(3))).requests)
    for number in range(1, needed + 1):
        asked = asyncio.Semaphore(0)
        count = 0

        def answer(model: str, request: ModelRequest, last: int = number, asked: Any = asked) -> Reply:
            nonlocal count
            count += 1
            if count < last:
                return formally_right(3)(model, request)
            asked.release()
            return Stalled()

        running = asyncio.create_task(attempt(sample, answer))
        await asyncio.wait_for(asked.acquire(), 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}
