"""What the parallel pattern promises of its branches and their join; `test_parallel_aggregation` has the rest."""

import asyncio
from typing import Any

import pytest

from executor.errors import BlockFailed, CeilingReached
from executor.events import RecordedEvent
from executor.patterns.contract import BlockInput, BlockOutcome
from executor.patterns.parallel import ParallelConfig
from executor.prompts import Delivery
from executor.providers.contract import ModelCallError, ModelRequest
from executor.tests.branches import ALL_ANSWER, THREE, WITH_MODERATOR, codes, run_branches, statuses, voters
from executor.tests.builders import make_agent
from executor.tests.models import Reply, Slow
from executor.tests.resuming import check_resumes_from_every_prefix, run_on, with_own_models
from executor.tests.scripted import Script, ScriptedCaller, failed, invalid, make_pattern_block

# Input and order


async def test_branches_run_at_once_in_isolation_on_the_same_input() -> None:
    caller = ScriptedCaller(ALL_ANSWER)
    gates = [caller.gate(agent.name) for agent in THREE]
    running = asyncio.create_task(
        run_branches(caller=caller, block_input=BlockInput(shared=(Delivery("Input", "the ticket"),)))
    )
    await asyncio.gather(*(caller.arrival(agent.name) for agent in THREE))
    for gate in gates:
        gate.set()
    await running
    prompts = {call.prompt for call in caller.calls}
    assert prompts == {"The task.\n\n## Input\nthe ticket"}


async def test_collect_is_a_map_in_listed_order_whoever_finished_first() -> None:
    caller = ScriptedCaller(ALL_ANSWER)
    gate = caller.gate("Ann")
    running = asyncio.create_task(run_branches(caller=caller))
    await caller.arrival("Cyd")
    gate.set()
    outcome, _ = await running
    assert isinstance(outcome.output, dict)
    assert list(outcome.output.items()) == [("Ann", "a"), ("Bob", "b"), ("Cyd", "c")]
    assert outcome.agent_outputs == {"ann": "a", "bob": "b", "cyd": "c"}
    assert outcome.stopped_reason == "done"


# The join


async def test_any_takes_the_first_and_cancels_the_stragglers() -> None:
    caller = ScriptedCaller(ALL_ANSWER)
    caller.gate("Ann")
    caller.gate("Cyd")
    outcome, _ = await run_branches(caller=caller, join="any")
    assert outcome.output == {"Bob": "b"}
    assert outcome.agent_outputs == {"bob": "b"}
    assert statuses(outcome) == {"Ann": "skipped", "Bob": "ok", "Cyd": "skipped"}
    assert sorted(caller.cancelled) == ["Ann", "Cyd"]


async def test_a_number_waits_for_so_many_and_no_more() -> None:
    caller = ScriptedCaller(ALL_ANSWER)
    caller.gate("Bob")
    outcome, _ = await run_branches(caller=caller, join=2)
    assert outcome.output == {"Ann": "a", "Cyd": "c"}
    assert caller.cancelled == ["Bob"]


async def test_a_branch_that_finishes_after_the_join_was_met_does_not_win() -> None:
    outcome, _ = await run_branches(join="any")
    assert len(outcome.agent_outputs) == 1


async def test_a_cancelled_block_leaves_no_branch_running() -> None:
    caller = ScriptedCaller(ALL_ANSWER)
    for agent in THREE:
        caller.gate(agent.name)
    running = asyncio.create_task(run_branches(caller=caller))
    await asyncio.gather(*(caller.arrival(agent.name) for agent in THREE))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(caller.cancelled) == ["Ann", "Bob", "Cyd"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_error_that_is_nobodys_answer_ends_the_block_and_every_branch() -> None:
    script: dict[Any, Any] = {**ALL_ANSWER, "Bob": lambda _: 1 / 0}
    caller = ScriptedCaller(script)
    caller.gate("Ann")
    with pytest.raises(ZeroDivisionError):
        await run_branches(caller=caller)
    assert caller.cancelled == ["Ann"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


# Failures


async def test_a_failed_branch_alone_is_retried_under_a_key_of_its_own() -> None:
    outcome, caller = await run_branches({**ALL_ANSWER, ("Bob", "branch", 0): failed("Bob")})
    assert outcome.output == {"Ann": "a", "Bob": "b", "Cyd": "c"}
    assert sorted(caller.made()) == [
        ("Ann", "branch", 0),
        ("Bob", "branch", 0),
        ("Bob", "branch", 1),
        ("Cyd", "branch", 0),
    ]


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_branch_is_retried_as_often_as_configured(retries: int) -> None:
    caller = ScriptedCaller({**ALL_ANSWER, "Bob": failed("Bob")})
    with pytest.raises(BlockFailed):
        await run_branches(caller=caller, branch_retries=retries)
    assert [name for name, _, _ in caller.made()].count("Bob") == retries + 1


@pytest.mark.parametrize(("retryable", "started"), [(True, 3), (False, 1)])
async def test_a_branch_that_would_be_refused_again_is_not_run_again(retryable: bool, started: int) -> None:
    block = make_pattern_block("parallel", with_own_models(THREE), {"branch_retries": 2})

    def answers(name: str, request: ModelRequest) -> Reply:
        return ModelCallError("The key is wrong.", retryable=retryable) if name == "Bob" else "done"

    first = await check_resumes_from_every_prefix(block, answers)
    assert [entry.event.agent for entry in first.events if entry.event.type == "agent.started"].count("Bob") == started


async def test_each_branch_reports_how_it_ended() -> None:
    script: dict[Any, Any] = {
        "Ann": failed("Ann", "No answer within 5 s.", code="timeout"),
        "Bob": invalid("Bob"),
        "Cyd": "c",
    }
    caller = ScriptedCaller(script)
    gate = caller.gate("Cyd")
    running = asyncio.create_task(run_branches(caller=caller, join="any", branch_retries=0))
    await caller.arrival("Cyd")
    for _ in range(10):
        await asyncio.sleep(0)
    gate.set()
    outcome, _ = await running
    assert statuses(outcome) == {"Ann": "timeout", "Bob": "error", "Cyd": "ok"}
    assert outcome.output == {"Cyd": "c"}


async def test_too_few_branches_fail_the_block_by_name_once_all_have_reported() -> None:
    caller = ScriptedCaller({**ALL_ANSWER, "Bob": failed("Bob", "The key is wrong.")})
    with pytest.raises(BlockFailed, match=r"2 did\. 'Bob': error, The key is wrong\.") as caught:
        await run_branches(caller=caller)
    assert caught.value.agent == "Bob"
    assert {entry.event.agent for entry in caller.journal.events if entry.event.type == "agent.completed"} == {
        "Ann",
        "Cyd",
    }


async def test_a_ceiling_leaves_the_branches_that_are_ok_as_the_best_result() -> None:
    outcome, _ = await run_branches(caller=ScriptedCaller(ALL_ANSWER, max_calls=2))
    assert outcome.output == {"Ann": "a", "Bob": "b"}
    assert outcome.stopped_reason == "max_calls"
    assert statuses(outcome) == {"Ann": "ok", "Bob": "ok", "Cyd": "skipped"}


async def test_a_timeout_of_the_block_is_the_branch_s_status() -> None:
    late = CeilingReached("The time is up.", reason="timeout")
    outcome, _ = await run_branches({**ALL_ANSWER, "Cyd": late})
    assert outcome.stopped_reason == "timeout"
    assert statuses(outcome)["Cyd"] == "timeout"


async def test_a_ceiling_does_not_hide_that_failures_alone_made_the_join_impossible() -> None:
    script: Script = {**ALL_ANSWER, "Ann": failed("Ann"), "Bob": CeilingReached("Used up.", reason="budget")}
    with pytest.raises(BlockFailed, match="'Ann': error"):
        await run_branches(script, branch_retries=0)


async def test_a_ceiling_before_anything_exists_is_raised() -> None:
    with pytest.raises(CeilingReached, match="0 calls"):
        await run_branches(caller=ScriptedCaller(ALL_ANSWER, max_calls=0))


# Resuming


async def test_a_recorded_join_is_used_as_it_is_and_nobody_else_is_called() -> None:
    caller = ScriptedCaller(ALL_ANSWER)
    caller.gate("Ann")
    first, _ = await run_branches(caller=caller, join=2)
    resumed = ScriptedCaller({}, caller.journal.events)
    again, _ = await run_branches(caller=resumed, join=2)
    assert again == first
    assert resumed.calls == []


async def test_a_result_that_came_in_after_the_recorded_join_does_not_join_it() -> None:
    caller = ScriptedCaller(ALL_ANSWER)
    caller.gate("Ann")
    first, _ = await run_branches(caller=caller, join=2)
    late = ScriptedCaller(ALL_ANSWER)
    await run_branches(caller=late, agents=THREE[:1])
    completed = next(entry.event for entry in late.journal.events if entry.event.type == "agent.completed")
    # Ann's answer is in the journal, and even before the others: the record of the join still decides.
    events = [RecordedEvent(completed, 0), *caller.journal.events]
    again, _ = await run_branches(caller=ScriptedCaller({}, events), join=2)
    assert again == first


async def test_recorded_branches_meet_the_join_in_the_journals_order_before_anyone_is_called() -> None:
    caller = ScriptedCaller(ALL_ANSWER)
    gates = {name: caller.gate(name) for name in ("Ann", "Bob", "Cyd")}
    running = asyncio.create_task(run_branches(caller=caller))
    await asyncio.gather(*(caller.arrival(name) for name in gates))
    for name in ("Cyd", "Ann"):
        gates[name].set()
        for _ in range(5):
            await asyncio.sleep(0)
    running.cancel()
    resumed = ScriptedCaller({}, caller.journal.events)
    outcome, _ = await run_branches(caller=resumed, join="any")
    assert outcome.output == {"Cyd": "c"}
    assert resumed.calls == []


async def test_a_resumed_branch_continues_with_its_next_try() -> None:
    first = ScriptedCaller({**ALL_ANSWER, "Bob": failed("Bob")})
    with pytest.raises(BlockFailed):
        await run_branches(caller=first, branch_retries=0)
    resumed = ScriptedCaller({"Bob": "b at last"}, first.journal.events)
    outcome, _ = await run_branches(caller=resumed, branch_retries=1)
    assert outcome.output == {"Ann": "a", "Bob": "b at last", "Cyd": "c"}
    assert resumed.made() == [("Bob", "branch", 1)]


def flaky(name: str, request: ModelRequest) -> Reply:
    """Bob is never there, Cyd is slow, Dan slower, and Ann's first answer does not satisfy her schema."""
    if name == "Bob":
        return ModelCallError("Bob is away.", retryable=True)
    if name == "Ann" and len(request.messages) == 1:
        return "not JSON"
    seconds = {"Ann": 1, "Cyd": 2, "Dan": 3}.get(name, 0)
    return Slow(
        seconds, '{"score": 1}' if name == "Ann" else f"{name} has read {len(request.messages[0].text)} letters"
    )


@pytest.mark.parametrize("join", ["any", 2, 3])
@pytest.mark.parametrize("aggregate", ["collect", "synthesize"])
async def test_a_run_resumes_from_every_prefix_of_its_record(join: object, aggregate: str) -> None:
    agents = with_own_models(
        [make_agent("Mo", "manager"), *voters("Ann"), make_agent("Bob"), make_agent("Cyd"), make_agent("Dan")]
    )
    block = make_pattern_block("parallel", agents, {"join": join, "aggregate": aggregate})
    first = await check_resumes_from_every_prefix(block, flaky)
    assert isinstance(first.outcome, BlockOutcome)
    assert first.outcome.stopped_reason == "done"


async def test_a_run_that_failed_fails_alike_from_every_prefix() -> None:
    block = make_pattern_block("parallel", with_own_models(THREE), {"join": "all"})
    first = await check_resumes_from_every_prefix(block, flaky)
    assert "'Bob': error" in str(first.outcome)


async def test_a_run_that_met_a_ceiling_ends_alike_from_every_prefix() -> None:
    agents = with_own_models([*THREE, make_agent("Dan")])
    block = make_pattern_block("parallel", agents, {"join": 3})
    first = await check_resumes_from_every_prefix(block, flaky, max_calls=2)
    assert isinstance(first.outcome, BlockOutcome)
    assert (first.outcome.output, first.outcome.stopped_reason) == ({"Ann": "not JSON"}, "max_calls")


async def test_a_join_that_is_met_during_a_repair_cancels_the_repair_for_good() -> None:
    agents = with_own_models([*voters("Ann"), make_agent("Dan")])
    block = make_pattern_block("parallel", agents, {"join": "any"})

    def answers(name: str, request: ModelRequest) -> Reply:
        if name == "Dan":
            return Slow(5, "done")
        return "not JSON" if len(request.messages) == 1 else Slow(60, '{"score": 1}')

    first = await run_on((), block, answers)
    without_join = [entry for entry in first.events if entry.event.key != "block/join"]
    resumed = await run_on(without_join, block, answers)
    assert resumed.outcome == first.outcome
    assert not [entry for entry in resumed.events[len(without_join) :] if entry.event.type == "agent.started"]


# Checks


def test_a_join_of_more_branches_than_there_are_is_a_problem() -> None:
    assert codes(THREE, join=3) == []
    assert codes(THREE, join=4) == [("/data/config/join", "too_few_agents")]
    assert codes(WITH_MODERATOR, join=4, aggregate="synthesize") == [("/data/config/join", "too_few_agents")]


@pytest.mark.parametrize("join", [0, 51, "most", True, "2", None])
def test_a_join_out_of_range_is_refused(join: object) -> None:
    with pytest.raises(ValueError, match="join"):
        ParallelConfig.model_validate({"join": join})
