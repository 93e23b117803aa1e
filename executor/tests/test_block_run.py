"""What `BlockRun` promises to every pattern about ceilings."""

import asyncio

from executor.errors import CeilingReached
from executor.json_types import Json
from executor.patterns import PATTERNS
from executor.tests.builders import make_agent
from executor.tests.scripted import ScriptedCaller, make_pattern_block, make_run

POSITION: Json = {"answer": "x", "confidence": 0.5, "rationale": "Because."}
BLOCK = make_pattern_block("debate", [make_agent("Ann"), make_agent("Bob"), make_agent("Cyd")])


async def test_parallel_calls_that_meet_different_ceilings_report_the_first_as_a_resumed_run_will() -> None:
    late = CeilingReached("Too late.", reason="timeout")
    early = CeilingReached("Used up.", reason="max_calls")
    caller = ScriptedCaller({"Ann": late, "Bob": early, "Cyd": POSITION})
    gate = caller.gate("Ann")
    running = asyncio.ensure_future(PATTERNS["debate"].run(make_run(BLOCK, caller)))
    await asyncio.gather(caller.arrival("Ann"), caller.arrival("Bob"), caller.arrival("Cyd"))
    assert caller.decisions()["block/ceiling"]["reason"] == "max_calls"
    gate.set()
    outcome = await running
    assert (outcome.stopped_reason, outcome.output) == ("max_calls", "x")

    resumed = ScriptedCaller({"Ann": POSITION, "Bob": POSITION}, caller.journal.events)
    assert await PATTERNS["debate"].run(make_run(BLOCK, resumed)) == outcome


async def test_after_a_recorded_ceiling_nothing_new_is_called() -> None:
    first = ScriptedCaller({"Ann": POSITION, "Bob": POSITION, "Cyd": POSITION}, max_calls=1)
    outcome = await PATTERNS["debate"].run(make_run(BLOCK, first))
    resumed = ScriptedCaller({"Ann": POSITION, "Bob": POSITION, "Cyd": POSITION}, first.journal.events)
    assert await PATTERNS["debate"].run(make_run(BLOCK, resumed)) == outcome
    assert resumed.calls == []
