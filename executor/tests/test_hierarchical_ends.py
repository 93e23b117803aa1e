"""How the hierarchical pattern ends, and how it resumes."""

import asyncio
import json
from typing import Any

import pytest

from executor.calls import AgentCall
from executor.errors import CeilingReached
from executor.json_types import JsonObject
from executor.patterns.contract import BlockInput, BlockOutcome
from executor.prompts import Delivery
from executor.providers.contract import ModelCallError, ModelRequest
from executor.tests.hierarchies import (
    CREW,
    FINISHED,
    assign,
    judge,
    manage,
    phases_of_boss,
    plan,
    script_of,
    statuses,
    worked,
)
from executor.tests.models import Reply, Slow
from executor.tests.resuming import check_resumes_from_every_prefix, with_own_models
from executor.tests.scripted import ScriptedCaller, failed, invalid, make_pattern_block

# Ends


@pytest.mark.parametrize(
    "answer",
    [
        invalid("Boss"),
        "First Ann, then Bob. DONE.",
        plan(assign("Ann", 1)),
        plan(assign("Ann", 2), assign("Bob", 1)),
        plan(assign("Ann"), assign("Bob", 9)),
        plan(assign("Ann", 0)),
    ],
)
async def test_an_invalid_plan_gives_every_worker_the_task_once(answer: Any) -> None:
    block_input = BlockInput(shared=(Delivery("Input", "the ticket"),))
    outcome, caller = await manage(answer, block_input=block_input)
    assert sorted(worked(caller)) == [("Ann", "work-1-0"), ("Bob", "work-2-0"), ("Cyd", "work-3-0")]
    assert caller.prompts("Ann") == ["The task.\n\n## Input\nthe ticket"]
    assert caller.decisions()["block/plan-1"] == {"round": 1, "fallback": True, "plan": None}
    assert (outcome.output, outcome.stopped_reason) == ("the result", "done")


async def test_an_invalid_plan_after_some_work_gives_the_task_to_those_who_have_done_nothing() -> None:
    _, caller = await manage(plan(assign("Bob")), invalid("Boss"))
    assert sorted(worked(caller)) == [("Ann", "work-2-0"), ("Bob", "work-1-0"), ("Cyd", "work-3-0")]


async def test_a_manager_that_never_is_done_ends_after_the_last_round() -> None:
    def another(call: AgentCall) -> JsonObject:
        return plan(assign("Ann", instruction=f"Part {call.round}."))

    def answer(call: AgentCall) -> str:
        return f"answer to {call.prompt}"

    caller = ScriptedCaller(script_of(Ann=answer) | {("Boss", "plan"): another})
    outcome, _ = await manage(caller=caller)
    assert outcome.stopped_reason == "max_rounds"
    assert outcome.details["rounds"] == 5
    assert outcome.output == "the result"
    assert "(max_rounds)" in caller.prompts("Boss")[-1]


@pytest.mark.parametrize("same", [plan(assign("Ann")), plan()])
async def test_rounds_without_a_new_result_end_the_work(same: JsonObject) -> None:
    caller = ScriptedCaller(script_of() | {("Boss", "plan"): same})
    outcome, _ = await manage(caller=caller, max_rounds=20)
    assert outcome.stopped_reason == "no_progress"
    assert outcome.details["rounds"] == (4 if same["assignments"] else 3)


async def test_a_ceiling_leaves_what_each_worker_delivered_last() -> None:
    caller = ScriptedCaller(script_of(plan(assign("Ann")), plan(assign("Bob"))), max_calls=5)
    outcome, _ = await manage(caller=caller)
    assert outcome.output == {"Ann": "ann's", "Bob": "bob's"}
    assert outcome.stopped_reason == "max_calls"
    assert outcome.agent_outputs == {"ann": "ann's", "bob": "bob's", "boss": outcome.output}
    assert statuses(outcome) == ["accepted", "stopped"]


@pytest.mark.parametrize("calls", [0, 1])
async def test_a_ceiling_before_anything_exists_is_raised(calls: int) -> None:
    caller = ScriptedCaller(script_of(plan(assign("Ann"))), max_calls=calls)
    with pytest.raises(CeilingReached, match="calls"):
        await manage(caller=caller)


async def test_a_ceiling_of_one_worker_lets_the_others_finish() -> None:
    late = CeilingReached("The time is up.", reason="timeout")
    caller = ScriptedCaller(script_of(plan(assign("Ann"), assign("Bob")), Ann=late))
    gate = caller.gate("Bob")
    running = asyncio.create_task(manage(caller=caller))
    await caller.arrival("Bob")
    for _ in range(5):
        await asyncio.sleep(0)
    gate.set()
    outcome, _ = await running
    assert (outcome.output, outcome.stopped_reason) == ({"Bob": "bob's"}, "timeout")


async def test_a_cancelled_block_leaves_no_worker_running() -> None:
    caller = ScriptedCaller(script_of(plan(assign("Ann"), assign("Bob"), assign("Cyd", 1))))
    caller.gate("Ann")
    caller.gate("Bob")
    running = asyncio.create_task(manage(caller=caller))
    await asyncio.gather(caller.arrival("Ann"), caller.arrival("Bob"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(caller.cancelled) == ["Ann", "Bob"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


# Workers that have to be consulted


async def test_a_manager_that_finishes_too_early_is_told_and_may_then_assign_them() -> None:
    outcome, caller = await manage(FINISHED, plan(assign("Cyd"), done=True), must_consult=["Cyd"])
    plans = [prompt for prompt in caller.prompts("Boss") if "This is round" in prompt]
    assert "these have to have worked: Cyd." in plans[0]
    assert "You said that the work is done" not in plans[0]
    assert "You said that the work is done" in plans[1]
    assert "block/must-consult" not in caller.decisions()
    assert outcome.details["not_consulted"] == []


async def test_a_manager_that_insists_is_overruled_by_code() -> None:
    outcome, caller = await manage(must_consult=["Cyd", "Bob"])
    assert worked(caller) == [("Bob", "work-1-0"), ("Cyd", "work-2-0")]
    assert caller.prompts("Cyd") == ["The task."]
    assert caller.decisions()["block/must-consult"]["assigned"] == ["Bob", "Cyd"]
    assert phases_of_boss(caller)[:2] == [("plan", 1), ("plan", 2)]
    assert (outcome.output, outcome.stopped_reason) == ("the result", "done")


@pytest.mark.parametrize(("config", "reason"), [({"max_rounds": 1}, "max_rounds"), ({"max_rounds": 9}, "no_progress")])
async def test_a_loop_that_ends_by_itself_does_not_end_without_them(config: dict[str, Any], reason: str) -> None:
    caller = ScriptedCaller(script_of() | {("Boss", "plan"): plan(assign("Ann"))})
    outcome, _ = await manage(caller=caller, must_consult=["Cyd"], **config)
    assert worked(caller)[-1][0] == "Cyd"
    assert outcome.stopped_reason == reason
    assert outcome.agent_outputs["cyd"] == "cyd's"


async def test_a_worker_that_could_not_be_consulted_is_named() -> None:
    outcome, _ = await manage(plan(assign("Ann"), done=True), must_consult=["Cyd"], workers={"Cyd": failed("Cyd")})
    assert outcome.details["not_consulted"] == ["Cyd"]


# Resuming


def answers(name: str, request: ModelRequest) -> Reply:
    """A manager that needs two rounds and sends Ann's work back once; Bob is never there; Ann is slower than Cyd."""
    prompt = request.messages[0].text
    if name != "Boss":
        if name == "Bob":
            return ModelCallError("Bob is away.", retryable=False)
        return Slow(5 if name == "Ann" else 1, f"{name} answers {len(prompt)} letters")
    if "Judge whether" in prompt:
        again = "for Ann" in prompt and "Retries left: 2" in prompt
        return json.dumps(judge("retry", feedback="More.") if again else judge())
    if "This is round 1" in prompt:
        return json.dumps(plan(assign("Ann"), assign("Bob"), assign("Cyd"), assign("Cyd", 1)))
    if "This is round 2" in prompt:
        return "no plan" if len(request.messages) == 1 else json.dumps(plan(assign("Cyd", 4), done=True))
    return f"the result of {len(prompt)} letters"


async def test_a_run_resumes_from_every_prefix_of_its_record() -> None:
    block = make_pattern_block("hierarchical", with_own_models(CREW), {"must_consult": ["Cyd"]})
    first = await check_resumes_from_every_prefix(block, answers)
    assert isinstance(first.outcome, BlockOutcome)
    assert str(first.outcome.output).startswith("the result of")
    assert statuses(first.outcome) == ["accepted", "failed", "accepted", "accepted", "accepted"]


@pytest.mark.parametrize("calls", range(15))
async def test_a_run_that_met_a_ceiling_ends_alike_from_every_prefix(calls: int) -> None:
    block = make_pattern_block("hierarchical", with_own_models(CREW))
    first = await check_resumes_from_every_prefix(block, answers, max_calls=calls)
    if isinstance(first.outcome, BlockOutcome):
        assert first.outcome.stopped_reason == "max_calls"
        assert first.outcome.output
    else:
        assert first.outcome.startswith("CeilingReached")
