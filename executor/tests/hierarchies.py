"""A manager and her crew, for the tests of the hierarchical pattern: what they say, and how a block of them is run."""

from collections.abc import Sequence
from typing import Any

from executor.json_types import JsonObject
from executor.patterns.contract import BlockInput, BlockOutcome
from executor.patterns.hierarchical import PATTERN
from executor.spec import Agent
from executor.tests.builders import make_agent
from executor.tests.scripted import ScriptedCaller, make_pattern_block, make_run

CREW = (make_agent("Boss", "manager"), make_agent("Ann"), make_agent("Bob"), make_agent("Cyd"))


def assign(worker: str, *depends_on: int, instruction: str = "") -> JsonObject:
    return {"worker": worker, "instruction": instruction or f"Do {worker}'s part.", "depends_on": list(depends_on)}


def plan(*assignments: JsonObject, done: bool = False) -> JsonObject:
    return {"plan": "In parts.", "done": done, "assignments": list(assignments), "reason": "It is time."}


def judge(verdict: str = "accept", *, feedback: str = "", worker: str | None = None) -> JsonObject:
    return {"verdict": verdict, "feedback": feedback, "worker": worker, "reason": "I have read it."}


FINISHED = plan(done=True)


def script_of(*plans: Any, judgements: dict[str, Any] | None = None, **workers: Any) -> dict[Any, Any]:
    """A manager with a plan a round (then it is done), who accepts unless `judgements` has that phase."""
    script: dict[Any, Any] = {"Ann": "ann's", "Bob": "bob's", "Cyd": "cyd's", **workers}
    script |= {("Boss", "plan", number): made for number, made in enumerate(plans, 1)}
    script |= {("Boss", phase): made for phase, made in (judgements or {}).items()}
    return script | {("Boss", "plan"): FINISHED, ("Boss", "synthesis"): "the result", "Boss": judge()}


async def manage(
    *plans: Any,
    judgements: dict[str, Any] | None = None,
    workers: dict[str, Any] | None = None,
    agents: Sequence[Agent] = CREW,
    caller: ScriptedCaller | None = None,
    block_input: BlockInput | None = None,
    **config: object,
) -> tuple[BlockOutcome, ScriptedCaller]:
    caller = caller or ScriptedCaller(script_of(*plans, judgements=judgements, **(workers or {})))
    run: Any = make_run(make_pattern_block("hierarchical", agents, config), caller, block_input)
    return await PATTERN.run(run), caller


def worked(caller: ScriptedCaller) -> list[tuple[str, str]]:
    return [(name, phase) for name, phase, _ in caller.made() if phase.startswith("work-")]


def phases_of_boss(caller: ScriptedCaller) -> list[tuple[str, int]]:
    return [(phase, number) for name, phase, number in caller.made() if name == "Boss"]


def assignments(outcome: BlockOutcome) -> list[Any]:
    found = outcome.details["assignments"]
    assert isinstance(found, list)
    return found


def statuses(outcome: BlockOutcome) -> list[str]:
    return [assignment["status"] for assignment in assignments(outcome)]
