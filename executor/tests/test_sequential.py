"""Agents in listed order, each given the task and what the agents before it wrote."""

from typing import Any

import pytest

from executor.errors import AgentCallFailed, CeilingReached
from executor.patterns.contract import BlockInput, BlockOutcome
from executor.patterns.sequential import PATTERN
from executor.prompts import Delivery
from executor.tests.builders import make_agent
from executor.tests.scripted import Script, ScriptedCaller, failed, make_pattern_block, make_run

THREE = (make_agent("Ann"), make_agent("Bob"), make_agent("Cyd"))
ALL_ANSWER: Script = {"Ann": "one", "Bob": "two", "Cyd": "three"}
FROM_ABOVE = BlockInput(shared=(Delivery("Input", "the letter"),))


async def run_chain(caller: ScriptedCaller | None = None, **config: object) -> tuple[BlockOutcome, ScriptedCaller]:
    caller = caller or ScriptedCaller(ALL_ANSWER)
    run: Any = make_run(make_pattern_block("sequential", THREE, config), caller, FROM_ABOVE)
    return await PATTERN.run(run), caller


async def test_agents_run_in_listed_order_and_the_last_ones_output_is_the_result() -> None:
    outcome, caller = await run_chain()
    assert caller.made() == [("Ann", "turn", 0), ("Bob", "turn", 0), ("Cyd", "turn", 0)]
    assert outcome.output == "three"
    assert outcome.agent_outputs == {"ann": "one", "bob": "two", "cyd": "three"}
    assert outcome.stopped_reason == "done"


async def test_each_is_given_the_task_the_input_and_the_previous_output() -> None:
    _, caller = await run_chain()
    assert caller.prompts("Ann") == ["The task.\n\n## Input\nthe letter"]
    assert caller.prompts("Bob") == ["The task.\n\n## Input\nthe letter\n\n## Ann\none"]
    assert caller.prompts("Cyd") == ["The task.\n\n## Input\nthe letter\n\n## Bob\ntwo"]


@pytest.mark.parametrize(
    ("context", "seen"),
    [("last", ["Bob"]), ("all", ["Ann", "Bob"]), (["Ann"], ["Ann"]), (["Bob", "Ann"], ["Ann", "Bob"]), (["Cyd"], [])],
    ids=str,
)
async def test_what_of_the_earlier_work_is_seen_is_configured(context: object, seen: list[str]) -> None:
    _, caller = await run_chain(context=context)
    (prompt,) = caller.prompts("Cyd")
    headings = [line.removeprefix("## ") for line in prompt.splitlines() if line.startswith("## ")]
    assert headings == ["Input", *seen]


async def test_a_ceiling_leaves_what_the_last_finished_agent_wrote() -> None:
    outcome, _ = await run_chain(ScriptedCaller(ALL_ANSWER, max_calls=2))
    assert (outcome.output, outcome.stopped_reason) == ("two", "max_calls")
    assert outcome.agent_outputs == {"ann": "one", "bob": "two"}


async def test_a_ceiling_before_anything_exists_is_raised() -> None:
    with pytest.raises(CeilingReached):
        await run_chain(ScriptedCaller(ALL_ANSWER, max_calls=0))


async def test_an_agent_that_fails_fails_the_block_and_nobody_after_it_is_called() -> None:
    caller = ScriptedCaller({**ALL_ANSWER, "Bob": failed("Bob")})
    with pytest.raises(AgentCallFailed, match="away"):
        await run_chain(caller)
    assert [name for name, _, _ in caller.made()] == ["Ann", "Bob"]


async def test_a_run_resumes_from_every_prefix_of_its_record() -> None:
    outcome, first = await run_chain()
    events = first.journal.events
    for kept in range(len(events) + 1):
        resumed = ScriptedCaller(ALL_ANSWER, events[:kept])
        assert (await run_chain(resumed))[0] == outcome
        completed = [entry for entry in events[:kept] if entry.event.type == "agent.completed"]
        assert len(resumed.calls) == 3 - len(completed)


def test_a_chain_needs_an_agent_and_names_that_exist() -> None:
    def problems(block: Any) -> list[tuple[str, str]]:
        return [(problem.pointer, problem.code) for problem in PATTERN.check(block, block.data.config)]

    assert problems(make_pattern_block("sequential", [])) == [("/data/agents", "too_few_agents")]
    unknown = make_pattern_block("sequential", THREE, {"context": ["Ann", "Nobody"]})
    assert problems(unknown) == [("/data/config/context/1", "unknown_agent")]
