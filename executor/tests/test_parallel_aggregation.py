"""What the parallel pattern makes of its branches' outputs."""

from typing import Any

import pytest

from executor.errors import AgentCallFailed, BlockFailed
from executor.json_types import Json
from executor.tests.branches import ALL_ANSWER, THREE, WITH_MODERATOR, codes, run_branches, voters
from executor.tests.builders import make_agent
from executor.tests.scripted import Script, ScriptedCaller, failed


async def test_a_synthesizer_is_no_branch_and_sees_every_answer_by_name() -> None:
    outcome, caller = await run_branches(agents=WITH_MODERATOR, aggregate="synthesize")
    assert outcome.output == "all in all"
    assert outcome.agent_outputs == {"ann": "a", "bob": "b", "cyd": "c", "mo": "all in all"}
    assert caller.made()[-1] == ("Mo", "synthesis", 0)
    (prompt,) = caller.prompts("Mo")
    assert "## Ann\na\n\n## Bob\nb\n\n## Cyd\nc" in prompt
    assert "may be wrong" in prompt
    assert "missing" not in prompt


async def test_a_synthesizer_is_told_which_branches_are_missing() -> None:
    caller = ScriptedCaller(ALL_ANSWER)
    caller.gate("Bob")
    _, caller = await run_branches(caller=caller, agents=WITH_MODERATOR, aggregate="synthesize", join=2)
    assert "missing" in caller.prompts("Mo")[0]
    assert "- Bob (skipped)" in caller.prompts("Mo")[0]


async def test_a_ceiling_at_the_synthesis_leaves_the_collected_answers() -> None:
    caller = ScriptedCaller(ALL_ANSWER, max_calls=3)
    outcome, _ = await run_branches(caller=caller, agents=WITH_MODERATOR, aggregate="synthesize")
    assert outcome.output == {"Ann": "a", "Bob": "b", "Cyd": "c"}
    assert outcome.stopped_reason == "max_calls"
    assert "mo" not in outcome.agent_outputs


async def test_a_failing_synthesizer_fails_the_block() -> None:
    with pytest.raises(AgentCallFailed, match="away"):
        await run_branches({**ALL_ANSWER, "Mo": failed("Mo")}, WITH_MODERATOR, aggregate="synthesize")


async def vote(**scores: Json) -> Any:
    script: Any = {name: {"score": score, "why": name} for name, score in scores.items()}
    outcome, _ = await run_branches(script, voters(*scores), aggregate="vote", vote_field="score")
    details: Any = outcome.details["vote"]
    assert details["value"] == outcome.output
    return details


async def test_the_majority_wins_the_vote() -> None:
    result = await vote(Ann="no", Bob="yes", Cyd="yes")
    assert (result["value"], result["majority"], result["tie"]) == ("yes", True, False)
    assert result["votes"] == [{"value": "no", "agents": ["Ann"]}, {"value": "yes", "agents": ["Bob", "Cyd"]}]


async def test_a_tie_goes_to_the_earlier_agent_and_says_so() -> None:
    result = await vote(Ann="x", Bob="no", Cyd="yes", Dan="yes", Eve="no")
    assert (result["value"], result["majority"], result["tie"], result["tie_broken_by"]) == ("no", False, True, "Bob")


async def test_votes_are_counted_as_json_values() -> None:
    assert (await vote(Ann="z", Bob=8, Cyd=8.0))["value"] == 8
    assert (await vote(Ann="z", Bob={"a": 1, "b": 2}, Cyd={"b": 2, "a": 1}))["value"] == {"a": 1, "b": 2}
    assert (await vote(Ann="z", Bob=1, Cyd=True))["tie"] is True


async def test_a_branch_without_the_field_abstains() -> None:
    script: Script = {"Ann": {"why": "?"}, "Bob": {"score": 2}, "Cyd": {"why": "?"}}
    outcome, _ = await run_branches(script, voters("Ann", "Bob", "Cyd"), aggregate="vote", vote_field="score")
    assert outcome.output == 2


async def test_a_vote_that_nobody_casts_fails_the_block() -> None:
    with pytest.raises(BlockFailed, match="score"):
        await run_branches({"Ann": {}, "Bob": {}}, voters("Ann", "Bob"), aggregate="vote", vote_field="score")


def test_a_synthesis_needs_a_manager_or_moderator_beside_the_branches() -> None:
    assert codes(WITH_MODERATOR, aggregate="synthesize") == []
    assert codes(THREE, aggregate="synthesize") == [("/data/agents", "missing_synthesizer")]
    assert codes(WITH_MODERATOR[:1], aggregate="synthesize") == [("/data/agents", "too_few_agents")]
    assert codes((), aggregate="collect") == [("/data/agents", "too_few_agents")]


def test_a_vote_needs_a_field_that_every_branch_has() -> None:
    agents = [*voters("Ann"), make_agent("Bob"), make_agent("Cyd", output_schema={"properties": {"other": {}}})]
    assert codes(voters("Ann", "Bob"), aggregate="vote", vote_field="score") == []
    assert codes(voters("Ann"), aggregate="vote") == [("/data/config/vote_field", "missing_vote_field")]
    assert codes(agents, aggregate="vote", vote_field="score") == [
        ("/data/agents/1/output_schema", "missing_vote_field"),
        ("/data/agents/2/output_schema", "missing_vote_field"),
    ]
