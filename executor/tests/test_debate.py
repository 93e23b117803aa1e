"""What a debate promises, beside what `test_pattern_contract` shows of every pattern."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from executor.errors import AgentCallFailed, BlockFailed, CeilingReached, JournalClosed
from executor.json_types import Json, JsonObject
from executor.patterns import debate
from executor.patterns.contract import BlockInput, BlockOutcome
from executor.patterns.debate import PATTERN, DebateConfig, normalise
from executor.prompts import Delivery
from executor.spec import Agent
from executor.tests.builders import make_agent
from executor.tests.scripted import Script, ScriptedCaller, failed, invalid, make_pattern_block, make_run

THREE = (make_agent("Ann"), make_agent("Bob"), make_agent("Cyd"))
MODERATED = (*THREE, make_agent("Mo", "moderator"))


def says(answer: str, confidence: float = 0.5, rationale: str = "Because.", *, changed: bool | None = None) -> Json:
    statement: JsonObject = {"answer": answer, "confidence": confidence, "rationale": rationale}
    return statement if changed is None else {**statement, "changed": changed}


def rounds_of(name: str, *answers: Any, confidence: float = 0.5) -> dict[Any, Any]:
    """The script of one debater, an answer a round."""
    return {
        (name, "statement", number): says(answer, confidence, changed=True if number else None)
        if isinstance(answer, str)
        else answer
        for number, answer in enumerate(answers)
    }


async def hold(
    script: Script,
    agents: Sequence[Agent] = THREE,
    *,
    block_input: BlockInput | None = None,
    caller: ScriptedCaller | None = None,
    **config: object,
) -> tuple[BlockOutcome, ScriptedCaller]:
    caller = caller or ScriptedCaller(script)
    outcome = await PATTERN.run(make_run(make_pattern_block("debate", agents, config), caller, block_input))  # type: ignore[arg-type]  # the block's config is a DebateConfig
    return outcome, caller


def entries(outcome: BlockOutcome) -> list[Any]:
    transcript = outcome.details["transcript"]
    assert isinstance(transcript, list)
    return transcript


async def test_everyone_answers_on_their_own_in_round_0_and_at_once() -> None:
    caller = ScriptedCaller(rounds_of("Ann", "a") | rounds_of("Bob", "secret of Bob") | rounds_of("Cyd", "c"))
    gate = caller.gate("Ann")
    running = asyncio.create_task(hold({}, caller=caller, rounds=0))
    await asyncio.gather(caller.arrival("Ann"), caller.arrival("Bob"), caller.arrival("Cyd"))
    gate.set()
    outcome, _ = await running
    assert outcome.stopped_reason == "max_rounds"
    assert all("secret" not in call.prompt and "Position" not in call.prompt for call in caller.calls)


async def test_others_are_seen_by_neutral_labels_and_never_by_name() -> None:
    script = rounds_of("Ann", "apple", "apple") | rounds_of("Bob", "banana", "banana") | rounds_of("Cyd", "c", "c")
    _, caller = await hold(script)
    second = caller.prompts("Bob")[1]
    assert "## Your last position\n" in second
    assert "banana" in second.split("## Your last position")[1].split("## Position A")[0]
    assert "apple" in second.split("## Position A")[1].split("## Position C")[0]
    assert "## Position B" not in second
    assert not any(agent.name in call.prompt for agent in THREE for call in caller.calls)


async def test_revisions_are_simultaneous_each_sees_only_the_round_before() -> None:
    script = rounds_of("Ann", "a0", "a1", "a1") | rounds_of("Bob", "b0", "b1", "b1") | rounds_of("Cyd", "c", "c", "c")
    _, caller = await hold(script)
    bobs = caller.prompts("Bob")
    assert "a0" in bobs[1]
    assert "a1" not in bobs[1]
    assert "a1" in bobs[2]
    assert "a0" not in bobs[2]


async def test_agreement_ends_the_debate_early() -> None:
    script = rounds_of("Ann", "Paris.") | rounds_of("Bob", " **paris** ") | rounds_of("Cyd", "“PARIS!”")
    outcome, caller = await hold(script)
    assert (outcome.stopped_reason, len(caller.calls)) == ("agreement", 3)
    assert outcome.details["agreement"] == 1.0


async def test_a_lower_agreement_is_enough_when_configured() -> None:
    script = rounds_of("Ann", "x") | rounds_of("Bob", "x") | rounds_of("Cyd", "y")
    outcome, caller = await hold(script, agreement=0.6)
    assert (outcome.output, outcome.stopped_reason, len(caller.calls)) == ("x", "agreement", 3)


async def test_code_sees_who_changed_whatever_they_claim() -> None:
    lying = rounds_of("Ann", "x", "X!") | rounds_of("Bob", "y", "y") | rounds_of("Cyd", "z", "z")
    outcome, caller = await hold(lying, rounds=10)
    assert (outcome.stopped_reason, len(caller.calls)) == ("unchanged", 6)
    assert [entry["changed"] for entry in entries(outcome)] == [False] * 6

    silent = rounds_of("Ann", "x", says("w", changed=False), "w") | rounds_of("Bob", "y", "y", "y")
    outcome, _ = await hold(silent | rounds_of("Cyd", "z", "z", "z"), rounds=10)
    assert [entry["changed"] for entry in entries(outcome) if entry["agent"] == "Ann"] == [False, True, False]


async def test_rounds_are_the_ceiling_of_a_debate_that_never_settles() -> None:
    def restless(call: Any) -> Json:
        return says(f"{call.agent.name} {call.round}", changed=True if call.round else None)

    outcome, caller = await hold({"Ann": restless, "Bob": restless, "Cyd": restless}, rounds=2)
    assert (outcome.stopped_reason, len(caller.calls)) == ("max_rounds", 9)
    assert outcome.output == "Ann 2"


@pytest.mark.parametrize(
    ("answers", "confidences", "winner"),
    [
        (("x", "y", "Y."), (1.0, 0.1, 0.1), "Y."),
        (("x", "y", "z"), (0.2, 0.9, 0.3), "y"),
        (("x", "y", "z"), (0.5, 0.5, 0.5), "x"),
    ],
    ids=["majority over confidence", "a tie by confidence", "then by listed order"],
)
async def test_the_vote(answers: tuple[str, ...], confidences: tuple[float, ...], winner: str) -> None:
    script: dict[Any, Any] = {}
    said = {
        "Ann": (answers[0], confidences[0]),
        "Bob": (answers[1], confidences[1]),
        "Cyd": (answers[2], confidences[2]),
    }
    for name, (answer, confidence) in said.items():
        script |= rounds_of(name, answer, confidence=confidence)
    # The majority's words are its most confident debater's, so let Cyd be a little surer than Bob.
    script["Cyd", "statement", 0]["confidence"] += 0.01 if winner == "Y." else 0
    outcome, _ = await hold(script, rounds=0)
    assert outcome.output == winner
    dissent: Any = outcome.details["dissent"]
    assert normalise(winner) not in {normalise(entry["answer"]) for entry in dissent}


async def test_a_moderator_writes_the_result_from_the_positions_and_is_told_to_list_dissent() -> None:
    script = rounds_of("Ann", "x") | rounds_of("Bob", "x") | rounds_of("Cyd", "y")
    outcome, caller = await hold({**script, "Mo": "x, though C says y"}, MODERATED, rounds=0)
    assert outcome.output == "x, though C says y"
    (prompt,) = caller.prompts("Mo")
    assert "## Position C" in prompt
    assert "dissent" in prompt
    assert "Cyd" not in prompt
    assert outcome.agent_outputs == {
        "ann": says("x"),
        "bob": says("x"),
        "cyd": says("y"),
        "mo": "x, though C says y",
    }


async def test_a_manager_moderates_where_there_is_no_moderator() -> None:
    agents = (make_agent("Max", "manager", output_schema={"type": "object"}), *THREE)
    script = rounds_of("Ann", "x") | rounds_of("Bob", "x") | rounds_of("Cyd", "x") | {"Max": {"result": "x"}}
    outcome, caller = await hold(script, agents)
    assert outcome.output == {"result": "x"}
    assert caller.calls[-1].schema == {"type": "object"}


async def test_the_transcript_holds_every_statement_with_its_round() -> None:
    script = rounds_of("Ann", "x", "y") | rounds_of("Bob", "y", "y") | rounds_of("Cyd", "y", "y")
    outcome, _ = await hold(script)
    said = [(entry["round"], entry["agent"], entry["answer"], entry["changed"]) for entry in entries(outcome)]
    assert said == [
        (0, "Ann", "x", False),
        (0, "Bob", "y", False),
        (0, "Cyd", "y", False),
        (1, "Ann", "y", True),
        (1, "Bob", "y", False),
        (1, "Cyd", "y", False),
    ]


@pytest.mark.parametrize("broken", [invalid("Ann"), failed("Ann")], ids=["invalid", "failed"])
async def test_a_debater_that_fails_keeps_its_position_and_it_is_recorded(broken: Any) -> None:
    script = rounds_of("Ann", "x", broken, "x") | rounds_of("Bob", "y", "z", "z") | rounds_of("Cyd", "x", "x", "x")
    outcome, caller = await hold(script)
    assert (outcome.output, outcome.stopped_reason) == ("x", "unchanged")
    assert caller.decisions()["block/kept/1/ann"]["position_kept"] is True
    assert [entry["round"] for entry in entries(outcome) if entry.get("error")] == [1]


async def test_a_debater_without_a_first_position_is_left_out() -> None:
    script = rounds_of("Ann", failed("Ann")) | rounds_of("Bob", "y", "y") | rounds_of("Cyd", "z", "z")
    outcome, caller = await hold(script)
    assert caller.made().count(("Ann", "statement", 1)) == 0
    assert "ann" not in outcome.agent_outputs
    assert caller.decisions()["block/kept/0/ann"]["position_kept"] is False


async def test_a_round_without_one_valid_statement_ends_the_debate() -> None:
    script: dict[Any, Any] = {name: invalid(name) for name in ("Ann", "Bob", "Cyd")}
    firsts = rounds_of("Ann", "x") | rounds_of("Bob", "y") | rounds_of("Cyd", "z")
    outcome, caller = await hold({**script, **firsts}, rounds=10)
    assert (outcome.stopped_reason, len(caller.calls)) == ("no_statement", 6)


async def test_a_single_position_is_the_result_and_says_so() -> None:
    script = rounds_of("Ann", failed("Ann")) | rounds_of("Bob", "y") | rounds_of("Cyd", invalid("Cyd"))
    outcome, caller = await hold(script)
    assert (outcome.output, outcome.stopped_reason, len(caller.calls)) == ("y", "one_position", 3)


async def test_no_position_at_all_fails_the_block_and_names_an_agent() -> None:
    with pytest.raises(BlockFailed, match="The provider is away") as failure:
        await hold({name: failed(name) for name in ("Ann", "Bob", "Cyd")})
    assert (failure.value.agent, failure.value.code) == ("Ann", "provider_error")
    with pytest.raises(BlockFailed, match="valid") as failure:
        await hold({name: invalid(name) for name in ("Ann", "Bob", "Cyd")})
    assert (failure.value.agent, failure.value.code) == ("Ann", "invalid_output")


async def test_a_ceiling_in_a_round_keeps_what_was_said_in_it() -> None:
    script = rounds_of("Ann", "x", "y") | rounds_of("Bob", "y", "w") | rounds_of("Cyd", "z", "z")
    outcome, caller = await hold({}, caller=ScriptedCaller(script, max_calls=4))
    assert (outcome.stopped_reason, outcome.output, len(caller.calls)) == ("max_calls", "y", 4)


async def test_a_ceiling_before_the_moderator_ends_in_the_vote() -> None:
    script = rounds_of("Ann", "x") | rounds_of("Bob", "x") | rounds_of("Cyd", "y")
    outcome, caller = await hold({}, MODERATED, caller=ScriptedCaller(script, max_calls=3), rounds=0)
    assert (outcome.stopped_reason, outcome.output) == ("max_calls", "x")
    assert caller.decisions()["block/vote"]["answer"] == "x"


async def test_a_ceiling_before_any_position_is_the_callers_to_handle() -> None:
    with pytest.raises(CeilingReached):
        await hold({}, caller=ScriptedCaller({}, max_calls=0))


async def test_a_moderator_that_fails_fails_the_block() -> None:
    script = rounds_of("Ann", "x") | rounds_of("Bob", "x") | rounds_of("Cyd", "y")
    with pytest.raises(AgentCallFailed) as failure:
        await hold({**script, "Mo": failed("Mo")}, MODERATED, rounds=0)
    assert failure.value.agent == "Mo"


async def test_a_lost_journal_stops_everyone_and_comes_out_by_itself() -> None:
    def lose(_: object) -> Any:
        raise JournalClosed("The lease was lost.")

    caller = ScriptedCaller({"Ann": lose})
    caller.gate("Bob")
    caller.gate("Cyd")
    with pytest.raises(JournalClosed):
        await hold({}, caller=caller)
    assert sorted(caller.cancelled) == ["Bob", "Cyd"]


async def test_debaters_see_the_task_and_what_came_from_upstream() -> None:
    script = rounds_of("Ann", "x") | rounds_of("Bob", "x") | rounds_of("Cyd", "x")
    _, caller = await hold(script, block_input=BlockInput(shared=(Delivery("Facts", "The sky is blue."),)))
    assert all(prompt.startswith("The task.\n\n## Facts\nThe sky is blue.") for prompt in caller.prompts("Ann"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Paris", " paris. ", True),
        ("**Yes**", '"yes"!', True),
        ("a  b\nc", "A b c", True),
        ("-5", "5", False),
        ("50%", "50", False),
        ("C#", "C", False),
        ("C++", "C", False),
        (".5", "5", False),
        ("...", "!!!", False),
    ],
)
def test_which_answers_are_the_same(one: str, other: str, *, same: bool) -> None:
    assert (normalise(one) == normalise(other)) is same


def test_a_debate_needs_two_debaters_beside_its_moderator() -> None:
    (problem,) = debate.check(
        make_pattern_block("debate", [make_agent("Ann"), make_agent("Mo", "moderator")]), DebateConfig()
    )
    assert (problem.code, problem.pointer) == ("too_few_agents", "/data/agents")
    assert debate.check(make_pattern_block("debate", MODERATED), DebateConfig()) == []


def test_labels_stay_apart_with_more_debaters_than_letters() -> None:
    crowd = debate.Debate([make_agent(f"A{number}") for number in range(50)])
    labels = {debate._label(crowd, agent) for agent in crowd.debaters}
    assert len(labels) == 50
