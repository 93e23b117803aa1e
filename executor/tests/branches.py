"""Branches that answer, for the tests of the parallel pattern, and how a block of them is run."""

from collections.abc import Sequence
from typing import Any

from executor.json_types import JsonObject
from executor.patterns.contract import BlockInput, BlockOutcome
from executor.patterns.parallel import PATTERN
from executor.spec import Agent
from executor.tests.builders import make_agent
from executor.tests.scripted import Script, ScriptedCaller, make_pattern_block, make_run

SCORED: JsonObject = {
    "type": "object",
    "properties": {"score": {"type": ["number", "boolean", "string", "object"]}, "why": {"type": "string"}},
}
THREE = (make_agent("Ann"), make_agent("Bob"), make_agent("Cyd"))
WITH_MODERATOR = (make_agent("Mo", "moderator"), *THREE)
ALL_ANSWER: Script = {"Ann": "a", "Bob": "b", "Cyd": "c", "Mo": "all in all"}


async def run_branches(
    script: Script = ALL_ANSWER,
    agents: Sequence[Agent] = THREE,
    *,
    caller: ScriptedCaller | None = None,
    block_input: BlockInput | None = None,
    **config: object,
) -> tuple[BlockOutcome, ScriptedCaller]:
    caller = caller or ScriptedCaller(script)
    run: Any = make_run(make_pattern_block("parallel", agents, config), caller, block_input)
    return await PATTERN.run(run), caller


def statuses(outcome: BlockOutcome) -> dict[Any, Any]:
    branches: Any = outcome.details["branches"]
    return {branch["agent"]: branch["status"] for branch in branches}


def codes(agents: Sequence[Agent], **config: object) -> list[tuple[str, str]]:
    block = make_pattern_block("parallel", agents, config)
    settings: Any = block.data.config
    return [(problem.pointer, problem.code) for problem in PATTERN.check(block, settings)]


def voters(*names: str) -> list[Agent]:
    return [make_agent(name, output_schema=SCORED) for name in names]
