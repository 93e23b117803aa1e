"""What the hierarchical pattern promises of planning, working and judging; its ends are in `test_hierarchical_ends`."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from executor.calls import AgentCall
from executor.errors import AgentCallFailed, BlockFailed
from executor.json_types import Json
from executor.patterns.contract import BlockInput
from executor.patterns.hierarchical import PATTERN, HierarchicalConfig
from executor.prompts import Delivery
from executor.spec import Agent
from executor.tests.builders import make_agent
from executor.tests.hierarchies import (
    CREW,
    assign,
    assignments,
    judge,
    manage,
    phases_of_boss,
    plan,
    script_of,
    statuses,
    worked,
)
from executor.tests.scripted import ScriptedCaller, failed, invalid, make_pattern_block

# Planning and working


async def test_the_manager_plans_judges_each_result_and_writes_the_end() -> None:
    outcome, caller = await manage(plan(assign("Ann"), assign("Bob")))
    assert (outcome.output, outcome.stopped_reason) == ("the result", "done")
    assert outcome.agent_outputs == {"boss": "the result", "ann": "ann's", "bob": "bob's"}
    assert phases_of_boss(caller)[0] == ("plan", 1)
    assert sorted(phases_of_boss(caller)[1:3]) == [("judge-1-0", 1), ("judge-2-0", 1)]
    assert phases_of_boss(caller)[3:] == [("plan", 2), ("synthesis", 2)]
    assert "Result: ann's" in caller.prompts("Boss")[-1]
    assert "Result: bob's" in caller.prompts("Boss")[-1]


async def test_done_with_assignments_finishes_after_them_without_another_plan() -> None:
    _, caller = await manage(plan(assign("Ann"), done=True))
    assert phases_of_boss(caller) == [("plan", 1), ("judge-1-0", 1), ("synthesis", 1)]


async def test_done_does_not_hold_while_an_assignment_of_the_plan_has_no_result() -> None:
    outcome, caller = await manage(
        plan(assign("Ann"), assign("Bob"), done=True), plan(assign("Cyd"), done=True), workers={"Ann": failed("Ann")}
    )
    assert ("plan", 2) in phases_of_boss(caller)
    assert statuses(outcome) == ["failed", "accepted", "accepted"]


async def test_independent_assignments_run_at_once() -> None:
    caller = ScriptedCaller(script_of(plan(assign("Ann"), assign("Bob"), assign("Cyd"))))
    gates = [caller.gate(name) for name in ("Ann", "Bob", "Cyd")]
    running = asyncio.create_task(manage(caller=caller))
    await asyncio.gather(*(caller.arrival(name) for name in ("Ann", "Bob", "Cyd")))
    for gate in gates:
        gate.set()
    outcome, _ = await running
    assert statuses(outcome) == ["accepted"] * 3


async def test_an_assignment_starts_when_what_it_depends_on_is_accepted_and_waits_for_nothing_else() -> None:
    caller = ScriptedCaller(script_of(plan(assign("Ann"), assign("Bob"), assign("Cyd", 1))))
    gate = caller.gate("Bob")
    running = asyncio.create_task(manage(caller=caller))
    await caller.arrival("Cyd")
    assert ("judge-1-0", 1) in phases_of_boss(caller)
    gate.set()
    await running


async def test_a_worker_sees_its_instruction_and_the_results_it_depends_on_and_nothing_else() -> None:
    block_input = BlockInput(shared=(Delivery("Input", "the secret"),))
    _, caller = await manage(
        plan(assign("Ann"), assign("Bob"), assign("Cyd", 1, instruction="Sum up.")), block_input=block_input
    )
    assert caller.prompts("Ann") == ["Do Ann's part."]
    assert caller.prompts("Cyd") == ["Sum up.\n\n## Result of assignment 1\nann's"]
    assert "the secret" in caller.prompts("Boss")[0]


async def test_what_a_connection_brings_to_one_worker_reaches_that_worker() -> None:
    block_input = BlockInput(for_agent={"bob": (Delivery("Notes", "for Bob"),)})
    _, caller = await manage(plan(assign("Ann"), assign("Bob")), block_input=block_input)
    assert caller.prompts("Bob") == ["Do Bob's part.\n\n## Notes\nfor Bob"]
    assert caller.prompts("Ann") == ["Do Ann's part."]


async def test_results_of_earlier_rounds_can_be_depended_on_by_their_number() -> None:
    outcome, caller = await manage(plan(assign("Ann"), assign("Bob")), plan(assign("Cyd", 2)))
    assert caller.prompts("Cyd") == ["Do Cyd's part.\n\n## Result of assignment 2\nbob's"]
    assert [assignment["number"] for assignment in assignments(outcome)] == [1, 2, 3]
    assert "plan is number 3" in next(prompt for prompt in caller.prompts("Boss") if "This is round 2" in prompt)


async def test_one_worker_can_have_several_assignments_and_the_last_is_its_output() -> None:
    def numbered(call: AgentCall) -> str:
        return f"part {call.phase}"

    outcome, _ = await manage(plan(assign("Ann"), assign("Ann"), done=True), workers={"Ann": numbered})
    assert outcome.agent_outputs["ann"] == "part work-2-0"


async def test_the_manager_cannot_delegate_to_itself() -> None:
    outcome, caller = await manage(plan(assign("Boss")))
    assert not [name for name, _ in worked(caller) if name == "Boss"]
    assert caller.decisions()["block/plan-1"]["fallback"] is True
    assert '"enum": ["Ann", "Bob", "Cyd"]' in json.dumps(caller.calls[0].schema)
    assert outcome.output == "the result"


async def test_without_a_manager_the_first_agent_manages() -> None:
    agents = (make_agent("Boss"), make_agent("Ann"))
    outcome, caller = await manage(plan(assign("Ann"), done=True), agents=agents)
    assert worked(caller) == [("Ann", "work-1-0")]
    assert outcome.agent_outputs["boss"] == "the result"


# Judging


async def test_a_retry_goes_back_with_the_feedback_and_the_last_result() -> None:
    drafts = {("Ann", "work-1-0"): "draft", ("Ann", "work-1-1"): "better"}
    caller = ScriptedCaller(
        script_of(plan(assign("Ann"), done=True), judgements={"judge-1-0": judge("retry", feedback="Shorter.")})
        | drafts
    )
    outcome, _ = await manage(caller=caller)
    assert caller.prompts("Ann")[1] == "Do Ann's part.\n\n## Your last result\ndraft\n\n## Feedback on it\nShorter."
    assert outcome.agent_outputs["ann"] == "better"
    assert assignments(outcome)[0]["tried"] == ["Ann", "Ann"]


async def test_two_retries_are_the_most_and_then_the_manager_cannot_ask_for_another() -> None:
    always = {f"judge-1-{number}": judge("retry", feedback="Again.") for number in range(9)}
    _, caller = await manage(plan(assign("Ann"), done=True), judgements=always, agents=CREW[:2])
    assert worked(caller) == [("Ann", "work-1-0"), ("Ann", "work-1-1"), ("Ann", "work-1-2")]
    assert ("judge-1-2", 1) not in phases_of_boss(caller), "With nothing left to decide, nobody is asked."
    _, caller = await manage(plan(assign("Ann"), done=True), judgements=always)
    assert worked(caller) == [("Ann", "work-1-0"), ("Ann", "work-1-1"), ("Ann", "work-1-2")]
    # With other workers there is still something to decide; "retry" is then no valid verdict any more.
    assert caller.decisions()["block/judge-1-2"]["fallback"] is True


async def test_retries_are_as_many_as_configured() -> None:
    always = {f"judge-1-{number}": judge("retry", feedback="Again.") for number in range(9)}
    _, caller = await manage(plan(assign("Ann"), done=True), judgements=always, agents=CREW[:2], max_retries=0)
    assert worked(caller) == [("Ann", "work-1-0")]


async def test_a_reassigned_piece_of_work_goes_to_the_other_worker_as_it_was() -> None:
    outcome, caller = await manage(
        plan(assign("Ann"), assign("Cyd", 1), done=True), judgements={"judge-1-0": judge("reassign", worker="Bob")}
    )
    assert caller.prompts("Bob") == ["Do Ann's part."]
    assert caller.prompts("Cyd") == ["Do Cyd's part.\n\n## Result of assignment 1\nbob's"]
    assert assignments(outcome)[0]["tried"] == ["Ann", "Bob"]
    assert outcome.agent_outputs == {"boss": "the result", "ann": "ann's", "bob": "bob's", "cyd": "cyd's"}


async def test_nobody_gets_the_same_assignment_twice_by_reassigning() -> None:
    everyone = {f"judge-1-{number}": judge("reassign", worker="Bob") for number in range(9)}
    everyone["judge-1-1"] = judge("reassign", worker="Ann")
    _, caller = await manage(plan(assign("Ann"), done=True), judgements=everyone)
    assert worked(caller) == [("Ann", "work-1-0"), ("Bob", "work-1-1")]
    assert caller.decisions()["block/judge-1-1"]["fallback"] is True


@pytest.mark.parametrize("answer", [invalid("Boss"), "Looks fine to me.", judge("reassign"), judge("stop")])
async def test_an_invalid_judgement_accepts_and_is_recorded_as_a_fallback(answer: Any) -> None:
    outcome, caller = await manage(plan(assign("Ann"), done=True), judgements={"judge-1-0": answer})
    assert statuses(outcome) == ["accepted"]
    recorded = caller.decisions()["block/judge-1-0"]
    assert recorded == {"assignment": 1, "judged": "Ann", "verdict": "accept", "fallback": True}


# Failures


async def test_a_failed_worker_is_a_result_for_the_manager_and_not_the_end() -> None:
    outcome, caller = await manage(
        plan(assign("Ann"), assign("Bob")),
        judgements={"judge-1-0": judge("reassign", worker="Cyd")},
        workers={"Ann": failed("Ann", "The key of Ann is wrong.")},
    )
    assert any("## Ann has failed\nThe key of Ann is wrong." in prompt for prompt in caller.prompts("Boss"))
    assert statuses(outcome) == ["accepted", "accepted"]
    assert set(outcome.agent_outputs) == {"boss", "bob", "cyd"}


async def test_what_depends_on_a_failed_assignment_is_not_run() -> None:
    outcome, caller = await manage(plan(assign("Ann"), assign("Bob", 1), assign("Cyd")), workers={"Ann": failed("Ann")})
    assert statuses(outcome) == ["failed", "skipped", "accepted"]
    assert "Bob" not in dict(worked(caller))
    assert "have no result" in caller.prompts("Boss")[-1]


async def test_the_block_fails_when_every_worker_has_failed() -> None:
    with pytest.raises(BlockFailed, match=r"'Ann': Ann is away\.; 'Bob': Bob is away\."):
        await manage(
            plan(assign("Ann"), assign("Bob")),
            workers={"Ann": failed("Ann", "Ann is away."), "Bob": failed("Bob", "Bob is away.")},
        )


@pytest.mark.parametrize("phase", ["plan", "judge-1-0", "synthesis"])
async def test_a_manager_whose_provider_fails_fails_the_block(phase: str) -> None:
    script = script_of(plan(assign("Ann"), done=True)) | {("Boss", phase, 1): failed("Boss")}
    caller = ScriptedCaller(script)
    with pytest.raises(AgentCallFailed, match="away"):
        await manage(caller=caller)


# Checks


def codes(agents: Sequence[Agent] = CREW, **config: object) -> list[tuple[str, str]]:
    block = make_pattern_block("hierarchical", agents, config)
    settings: Any = block.data.config
    return [(problem.pointer, problem.code) for problem in PATTERN.check(block, settings)]


def test_there_is_a_manager_and_a_worker() -> None:
    assert codes() == []
    assert codes(CREW[:1]) == [("/data/agents", "too_few_agents")]


def test_must_consult_names_workers() -> None:
    assert codes(must_consult=["Ann", "Bob"]) == []
    assert codes(must_consult=["Ann", "Nobody", "Boss"]) == [
        ("/data/config/must_consult/1", "unknown_agent"),
        ("/data/config/must_consult/2", "unknown_agent"),
    ]


@pytest.mark.parametrize("config", [{"max_rounds": 0}, {"max_stalled_rounds": 0}, {"max_retries": -1}, {"rounds": 2}])
def test_a_config_out_of_range_is_refused(config: Json) -> None:
    with pytest.raises(ValueError, match="validation error"):
        HierarchicalConfig.model_validate(config)
