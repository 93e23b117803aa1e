"""What one agent call promises: write-ahead, replay, accounting, live text, cancellation."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import pytest

from executor.budget import Amount, Limits
from executor.errors import CeilingReached, JournalClosed, ProviderFailed, RepeatedKey
from executor.events import Event
from executor.journal import InMemoryJournal
from executor.json_types import JsonObject
from executor.patterns.contract import BlockInput, BlockRun
from executor.providers.contract import ModelAnswer, ModelCallError, ModelRequest, TokenUsage
from executor.spec import Block, BlockConfig, BlockData
from executor.tests.models import PRICE, USAGE, Slow, Stalled, Streamed, busy, refused
from executor.tests.orchestration import ANSWER_SCHEMA, Rig, make_call

USAGE_COST = Decimal("0.0006")  # 100 x 3 and 20 x 15 USD a million


def saying(text: str) -> Callable[[str, ModelRequest], str]:
    return lambda _name, _request: text


class StrictJournal(InMemoryJournal):
    """Knows how many of its events are durable."""

    durable = 0

    async def flush(self) -> None:
        await asyncio.sleep(0)
        self.durable = len(self.events)


async def test_a_call_returns_the_step_that_the_trace_shows() -> None:
    rig = Rig({"scripted:first": [Slow(2.5, "Fine.")]})
    step = await rig.orchestrator.call(make_call("Judge.", phase="review", number=3))
    assert (step.key, step.agent, step.agent_id, step.block_id) == ("b1/review/3/ann", "Ann", "ann", "b1")
    assert (step.output, step.text, step.model, step.prompt) == ("Fine.", "Fine.", "scripted:first", "Judge.")
    assert (step.usage, step.cost, step.tries, step.duration_ms) == (USAGE, USAGE_COST, 1, 2500)
    assert not step.replayed
    [completed] = rig.events("agent.completed")
    assert completed.position == step.position
    payload = dict(completed.event.payload)
    assert len(cast("str", payload.pop("prompt_hash"))) == 64
    assert payload == {
        "prompt": "Judge.",
        "output": "Fine.",
        "model": "scripted:first",
        "usage": {"input_tokens": 100, "output_tokens": 20, "estimated": False},
        "cost": "0.0006",
        "duration_ms": 2500,
        "tries": 1,
        "phase": "review",
        "round": 3,
        "repair": 0,
        "error": None,
    }


async def test_the_start_of_every_request_is_durable_before_it_goes_out() -> None:
    journal = StrictJournal()
    seen: list[tuple[int, str]] = []
    replies: list[Any] = [busy(), busy(), "done"]

    def script(_name: str, _request: ModelRequest) -> Any:
        seen.append((len(journal.events) - journal.durable, journal.events[-1].event.type))
        return replies.pop(0)

    await Rig(script, journal=journal).orchestrator.call(make_call())
    assert seen == [(0, "agent.started"), (0, "agent.retrying"), (0, "agent.retrying")]


async def test_nothing_goes_out_when_the_start_cannot_be_recorded() -> None:
    class Lost(InMemoryJournal):
        async def flush(self) -> None:
            raise JournalClosed("The lease is lost.")

    rig = Rig(saying("x"), journal=Lost())
    with pytest.raises(JournalClosed):
        await rig.orchestrator.call(make_call())
    assert rig.models.requests == []


async def test_the_start_holds_all_that_goes_out_and_what_is_reserved_for_it() -> None:
    rig = Rig(saying("ok"))
    call = make_call("abcde", system_prompt="fg", model="scripted:own", max_output_tokens=100)
    await rig.orchestrator.call(call)
    [payload] = rig.payloads("agent.started")
    assert payload["model"] == "scripted:own"
    assert (payload["prompt"], payload["system_prompt"], payload["schema"]) == ("abcde", "fg", None)
    # 7 bytes are 3 tokens of 3 USD a million; 100 of 15.
    assert payload["reserved"] == {"calls": 1, "tokens": 103, "cost": "0.001509"}
    [(_, request)] = rig.models.requests
    assert (request.system_prompt, request.settings) == ("fg", call.agent.settings)


async def test_a_recorded_result_is_used_without_a_call_or_a_charge() -> None:
    first = Rig(saying("ok"))
    made = await first.orchestrator.call(make_call())
    again = Rig({}, recorded=first.memory.events)
    step = await again.orchestrator.call(make_call())
    assert step.replayed
    assert step == made.__class__(**{**made.__dict__, "replayed": True})
    assert again.models.requests == []
    assert again.budget.used == Amount()
    assert len(again.memory.events) == len(first.memory.events)


async def test_a_recorded_failure_is_raised_again_without_a_call() -> None:
    first = Rig({"scripted:first": [refused()]})
    with pytest.raises(ProviderFailed) as made:
        await first.orchestrator.call(make_call())
    again = Rig({}, recorded=first.memory.events)
    with pytest.raises(ProviderFailed) as replayed:
        await again.orchestrator.call(make_call())
    assert str(replayed.value) == str(made.value)
    assert (replayed.value.code, replayed.value.block_id, replayed.value.agent) == ("provider_error", "b1", "Ann")
    assert again.models.requests == []


async def test_a_key_used_twice_is_a_mistake_even_at_the_same_time() -> None:
    rig = Rig(saying("ok"))
    outcomes = await asyncio.gather(
        rig.orchestrator.call(make_call("one")), rig.orchestrator.call(make_call("two")), return_exceptions=True
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["Step", "RepeatedKey"]
    with pytest.raises(RepeatedKey):
        await rig.orchestrator.call(make_call("three"))
    assert rig.models.prompts == ["one"]


async def test_a_replayed_key_used_twice_is_a_mistake_too() -> None:
    first = Rig(saying("ok"))
    await first.orchestrator.call(make_call())
    again = Rig({}, recorded=first.memory.events)
    await again.orchestrator.call(make_call())
    with pytest.raises(RepeatedKey):
        await again.orchestrator.call(make_call())


@pytest.mark.parametrize(
    "change",
    [{"prompt": "Other."}, {"system_prompt": "Other."}, {"schema": ANSWER_SCHEMA}],
    ids=lambda c: next(iter(c)),
)
async def test_the_recorded_result_wins_over_a_changed_prompt_and_one_warning_says_so(change: dict[str, Any]) -> None:
    first = Rig(saying("ok"))
    for number in range(2):
        await first.orchestrator.call(make_call(number=number))
    again = Rig({}, recorded=first.memory.events)
    for number in range(2):
        step = await again.orchestrator.call(make_call(**{"prompt": "Summarise.", **change}, number=number))
        assert step.output == "ok"
    [warning] = again.events("execution.warning")
    assert warning.event.payload["code"] == "prompt_changed"
    assert warning.event.key == "b1/turn/0/ann"


async def test_an_unchanged_prompt_warns_nobody() -> None:
    first = Rig(saying('{"score": 1}'))
    await first.orchestrator.call(make_call(schema=ANSWER_SCHEMA, system_prompt="Be brief."))
    turned = dict(reversed(ANSWER_SCHEMA.items()))  # a database may hand the keys back in another order
    again = Rig({}, recorded=first.memory.events)
    await again.orchestrator.call(make_call(schema=turned, system_prompt="Be brief."))
    assert again.events("execution.warning") == []


async def test_twenty_parallel_calls_against_a_limit_of_seven_send_exactly_seven_requests() -> None:
    rig = Rig(saying("ok"), limits=Limits(max_calls=7))
    calls = [rig.orchestrator.call(make_call(number=number)) for number in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    ceilings = [outcome for outcome in outcomes if isinstance(outcome, CeilingReached)]
    assert (len(rig.models.requests), len(ceilings)) == (7, 13)
    assert {ceiling.reason for ceiling in ceilings} == {"max_calls"}
    assert len(rig.events("agent.started")) == 7


async def test_what_a_request_may_use_is_reserved_while_it_is_out_and_settled_after() -> None:
    during: list[Amount] = []

    def script(_name: str, _request: ModelRequest) -> str:
        during.append(rig.budget.used)
        return "ok"

    rig = Rig(script)
    await rig.orchestrator.call(make_call("abc", max_output_tokens=50))
    assert during == [Amount(1, 51, Decimal("0.000753"))]
    assert rig.budget.used == Amount(1, 120, USAGE_COST)


async def test_failed_requests_count_as_calls_without_tokens() -> None:
    rig = Rig({"scripted:first": [busy(), "ok"]})
    step = await rig.orchestrator.call(make_call())
    assert step.tries == 2
    assert rig.budget.used == Amount(2, 120, USAGE_COST)
    assert rig.orchestrator.usage.counts() == {
        "calls": 2,
        "input_tokens": 100,
        "output_tokens": 20,
        "estimated": False,
    }


async def test_a_retry_is_refused_like_any_call_when_the_limit_is_used_up() -> None:
    rig = Rig({"scripted:first": [busy(), "never"]}, limits=Limits(max_calls=1))
    with pytest.raises(CeilingReached) as reached:
        await rig.orchestrator.call(make_call())
    assert reached.value.reason == "max_calls"
    assert rig.keys("agent.completed", "agent.failed", "agent.retrying") == []


@pytest.mark.parametrize("reported", [TokenUsage(), TokenUsage(estimated=True), TokenUsage(-5, 3)])
async def test_usage_that_is_not_reported_is_estimated_from_the_bytes(reported: TokenUsage) -> None:
    rig = Rig({"scripted:first": [ModelAnswer("ä" * 10, reported)]})
    step = await rig.orchestrator.call(make_call("abcdefghij", system_prompt="kl"))
    assert step.usage == TokenUsage(4, 7, estimated=True)
    assert rig.budget.used.tokens == 11


async def test_a_provider_that_claims_too_much_uses_up_the_budget_it_claims() -> None:
    rig = Rig({"scripted:first": [ModelAnswer("x", TokenUsage(10**9, 1)), "never"]}, limits=Limits(max_tokens=10_000))
    await rig.orchestrator.call(make_call(number=0))
    with pytest.raises(CeilingReached, match="tokens"):
        await rig.orchestrator.call(make_call(number=1))


async def test_an_unpriced_model_has_no_cost_rather_than_none_at_all() -> None:
    rig = Rig(saying("ok"), prices={"scripted:priced": PRICE})
    unpriced = await rig.orchestrator.call(make_call(number=0))
    priced = await rig.orchestrator.call(make_call(number=1, model="scripted:priced"))
    assert (unpriced.cost, priced.cost) == (None, USAGE_COST)
    assert rig.payloads("agent.completed")[0]["cost"] is None
    assert rig.orchestrator.usage.cost is None


async def test_live_text_tells_where_each_piece_stands() -> None:
    rig = Rig({"scripted:first": [Streamed(("Grüße, ", "世界", "!"))]}, live=True)
    step = await rig.orchestrator.call(make_call())
    assert step.text == "Grüße, 世界!"
    assert [(delta.offset, delta.text) for delta in rig.deltas] == [(0, "Grüße, "), (7, "世界"), (9, "!")]
    assert {(delta.block_id, delta.agent, delta.key) for delta in rig.deltas} == {("b1", "Ann", "b1/turn/0/ann")}


async def test_a_retry_after_half_an_answer_starts_its_text_again() -> None:
    cut = Streamed(("Half ", "an "), ModelCallError("The connection was cut.", retryable=True))
    rig = Rig({"scripted:first": [cut, Streamed(("Whole",))]}, live=True)
    step = await rig.orchestrator.call(make_call())
    assert step.text == "Whole"
    assert [(delta.offset, delta.text) for delta in rig.deltas] == [(0, "Half "), (5, "an "), (0, "Whole")]


async def test_nothing_is_streamed_where_nobody_looks() -> None:
    rig = Rig({"scripted:first": [Streamed(("a", "b"))]})
    assert (await rig.orchestrator.call(make_call())).text == "ab"
    assert rig.deltas == []


async def test_a_cancelled_call_leaves_no_result_and_keeps_its_reservation() -> None:
    stalled = Stalled()
    rig = Rig({"scripted:first": [stalled]})
    calling = asyncio.ensure_future(rig.orchestrator.call(make_call("abc", max_output_tokens=50, timeout_seconds=9)))
    await stalled.reached.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert rig.keys("agent.completed", "agent.failed", "agent.retrying") == []
    assert rig.budget.used == Amount(1, 51, Decimal("0.000753"))


async def test_a_call_cancelled_while_it_waits_for_its_retry_releases_the_request_that_never_went_out() -> None:
    rig = Rig({"scripted:first": [busy(), "never"]})
    calling = asyncio.ensure_future(rig.orchestrator.call(make_call()))
    await rig.clock.sleep(0.1)  # the first wait is 0.25 s at least
    assert len(rig.events("agent.retrying")) == 1
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert rig.budget.used == Amount(1, 0)


async def test_a_resumed_run_is_charged_for_results_and_for_outcomes_that_nobody_knows() -> None:
    stalled = Stalled()
    first = Rig({"scripted:first": ["ok", busy(), stalled]})
    await first.orchestrator.call(make_call(number=0))
    lost = asyncio.ensure_future(first.orchestrator.call(make_call("abc", number=1, max_output_tokens=50)))
    await stalled.reached.wait()
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)

    second = Rig({"scripted:first": ["late"]}, recorded=first.memory.events)
    await second.orchestrator.restore()
    # One result of 120 tokens; then a failed try and one whose outcome is not known: 1 + 50 tokens.
    assert second.budget.used == Amount(3, 171, USAGE_COST + Decimal("0.000753"))
    step = await second.orchestrator.call(make_call("abc", number=1, max_output_tokens=50))
    assert step.output == "late"

    third = Rig({}, recorded=second.memory.events)
    await third.orchestrator.restore()
    # The lost attempt stays counted beside the result that the second got under the same key.
    assert third.budget.used == second.budget.used == Amount(4, 291, 2 * USAGE_COST + Decimal("0.000753"))


async def test_a_resumed_run_counts_failures_too() -> None:
    first = Rig({"scripted:first": [busy(), refused()]})
    with pytest.raises(ProviderFailed):
        await first.orchestrator.call(make_call())
    second = Rig({}, recorded=first.memory.events)
    await second.orchestrator.restore()
    assert second.budget.used == first.budget.used == Amount(2, 0)


async def test_decisions_are_recorded_once_and_found_again() -> None:
    rig = Rig({})
    rig.orchestrator.record("decision", block_id="b1", key="b1/plan", payload={"done": True})
    assert cast("Event", rig.orchestrator.recorded("b1/plan")).payload == {"done": True}
    assert rig.orchestrator.recorded("b1/other") is None
    with pytest.raises(RepeatedKey):
        rig.orchestrator.record("decision", block_id="b1", key="b1/plan", payload={})


async def test_after_a_recorded_ceiling_a_resumed_run_sends_no_repair_either() -> None:
    def run(rig: Rig) -> BlockRun[BlockConfig]:
        block = Block(id="b1", type="sequential", data=BlockData(label="B", agents=(make_call().agent,)))
        return BlockRun(block, BlockConfig(), "", BlockInput(), rig.orchestrator)

    async def ask(rig: Rig) -> JsonObject:
        agent = make_call().agent.model_copy(update={"output_schema": ANSWER_SCHEMA})
        with pytest.raises(CeilingReached) as reached:
            await run(rig).call(agent, "Score.", phase="score")
        return {"reason": reached.value.reason, "message": str(reached.value)}

    first = Rig({"scripted:first": ["garbage"]}, limits=Limits(max_calls=1))
    ceiling = await ask(first)
    again = Rig({"scripted:first": ['{"score": 1}']}, recorded=first.memory.events)
    assert await ask(again) == ceiling
    assert again.models.requests == []
