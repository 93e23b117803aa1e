"""What a reflection promises, beside what `test_pattern_contract` shows of every pattern."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from executor.errors import AgentCallFailed, BlockFailed, CeilingReached
from executor.patterns import reflection
from executor.patterns.contract import BlockInput, BlockOutcome
from executor.patterns.reflection import PATTERN, ReflectionConfig, review_model
from executor.prompts import Delivery
from executor.spec import Agent
from executor.tests.builders import make_agent
from executor.tests.scripted import ScriptedCaller, failed, invalid, make_pattern_block, make_run

WRITER = make_agent("Wanda")
CRITIC = make_agent("Carl", "reflector")
SECOND = make_agent("Sue", "reflector")


def review(*feedback: str, **scores: float) -> Any:
    return {
        "criteria": [{"name": name, "score": score} for name, score in scores.items()],
        "feedback": list(feedback),
    }


def in_turn(name: str, phase: str, *answers: Any) -> dict[Any, Any]:
    return {(name, phase, number): answer for number, answer in enumerate(answers)}


def drafts(*texts: Any) -> dict[Any, Any]:
    return in_turn("Wanda", "draft", *texts)


def reviews(*said: Any, by: str = "Carl") -> dict[Any, Any]:
    return in_turn(by, "review", *said)


async def reflect(
    script: dict[Any, Any],
    agents: Sequence[Agent] = (WRITER, CRITIC),
    *,
    block_input: BlockInput | None = None,
    caller: ScriptedCaller | None = None,
    **config: object,
) -> tuple[BlockOutcome, ScriptedCaller]:
    caller = caller or ScriptedCaller(script)
    outcome = await PATTERN.run(make_run(make_pattern_block("reflection", agents, config), caller, block_input))  # type: ignore[arg-type]  # the block's config is a ReflectionConfig
    return outcome, caller


async def test_a_draft_that_passes_ends_it() -> None:
    outcome, caller = await reflect(drafts("one") | reviews(review(clear=0.8, short=1.0)))
    assert (outcome.output, outcome.stopped_reason, len(caller.calls)) == ("one", "passed", 2)
    assert outcome.details["passed"] is True


async def test_code_decides_the_pass_every_criterion_of_every_reflector() -> None:
    script = drafts("one", "two", "three")
    script |= reviews(review(a=1.0, b=0.79), review(a=1.0, b=0.9), review(a=1.0, b=1.0))
    script |= reviews(review(c=1.0), review(c=0.5), review(c=0.9), by="Sue")
    outcome, caller = await reflect(script, (WRITER, CRITIC, SECOND))
    assert (outcome.output, outcome.stopped_reason, len(caller.calls)) == ("three", "passed", 9)


async def test_the_best_scoring_draft_is_returned_not_the_last_and_of_equals_the_earlier() -> None:
    script = drafts("one", "two", "three") | reviews(review(a=0.5), review(a=0.7), review(a=0.2))
    outcome, _ = await reflect(script)
    assert (outcome.output, outcome.stopped_reason, outcome.details["best_round"]) == ("two", "max_rounds", 1)
    equal = drafts("one", "two", "three") | reviews(review(a=0.5), review(a=0.5), review(a=0.2))
    assert (await reflect(equal))[0].output == "one"


async def test_no_gain_twice_in_a_row_ends_it() -> None:
    script = drafts("one", "two", "three", "four", "five", "six")
    scores = (0.5, 0.4, 0.6, 0.6, 0.55, 0.7)
    outcome, _ = await reflect(script | reviews(*(review(a=score) for score in scores)), max_rounds=10)
    assert (outcome.output, outcome.stopped_reason) == ("three", "no_gain")
    assert len(rounds(outcome)) == 5


async def test_an_unchanged_draft_ends_it_without_another_review() -> None:
    outcome, caller = await reflect(drafts("one two", " one  two\n") | reviews(review(a=0.5)))
    assert (outcome.output, outcome.stopped_reason) == ("one two", "unchanged")
    assert caller.made()[-1] == ("Wanda", "draft", 1)
    structured = make_agent("Wanda", output_schema={"type": "object"})
    outcome, _ = await reflect(drafts({"a": 1}, {"a": 1}) | reviews(review(a=0.5)), (structured, CRITIC))
    assert (outcome.output, outcome.stopped_reason) == ({"a": 1}, "unchanged")


@pytest.mark.parametrize("max_rounds", [1, 2, 10])
async def test_a_critic_that_is_never_satisfied_meets_the_ceiling(max_rounds: int) -> None:
    script: dict[Any, Any] = {
        "Wanda": lambda call: f"draft {call.round}",
        "Carl": lambda call: review("More!", a=call.round / 100),
    }
    outcome, caller = await reflect(script, max_rounds=max_rounds)
    assert (outcome.output, outcome.stopped_reason) == (f"draft {max_rounds - 1}", "max_rounds")
    assert len(caller.calls) == 2 * max_rounds


async def test_the_generator_gets_the_task_its_last_draft_and_the_feedback() -> None:
    script = drafts("one", "two", "three") | reviews(review("Cut it.", a=0.3), review("Add a date.", a=0.2))
    _, caller = await reflect(script, max_rounds=3, threshold=0.9, caller=ScriptedCaller(script, max_calls=5))
    first, second, third = caller.prompts("Wanda")
    assert first == "The task."
    assert "## Your last draft\none" in second
    assert "Cut it." in second
    assert "## Your last draft\ntwo" in third
    assert "Add a date." in third
    assert "Cut it." not in third


async def test_reflectors_review_at_once_and_in_isolation() -> None:
    script = drafts("one") | reviews(review("From Carl.", a=0.9)) | reviews(review(a=0.9), by="Sue")
    caller = ScriptedCaller(script)
    gate = caller.gate("Carl")
    running = asyncio.create_task(reflect({}, (WRITER, CRITIC, SECOND), caller=caller))
    await asyncio.gather(caller.arrival("Carl"), caller.arrival("Sue"))
    gate.set()
    await running
    assert caller.prompts("Sue") == caller.prompts("Carl")
    assert "## Draft\none" in caller.prompts("Sue")[0]


async def test_configured_criteria_are_an_enum_and_a_missing_one_counts_as_0() -> None:
    script = drafts("one", "two") | reviews(review(clear=1.0, true=1.0), review(clear=1.0, polite=1.0))
    outcome, caller = await reflect(script, criteria=["clear", "true"], threshold=1.0)
    assert outcome.stopped_reason == "passed"
    assert '"clear"' in str(caller.calls[1].schema).replace("'", '"')

    other = drafts("one") | reviews(review(clear=1.0, polite=1.0))
    outcome, _ = await reflect(other, criteria=["clear", "true"])
    assert outcome.stopped_reason == "unscored"

    twice = {"criteria": [{"name": "clear", "score": 0.9}, {"name": "clear", "score": 1.0}], "feedback": []}
    outcome, _ = await reflect(drafts("one") | reviews(twice), criteria=["clear", "true"], max_rounds=1)
    (only,) = rounds(outcome)
    assert only["reviews"]["Carl"]["criteria"] == [{"name": "clear", "score": 0.9}, {"name": "true", "score": 0.0}]
    assert (outcome.details["passed"], outcome.details["score"]) == (False, 0.45)


async def test_a_review_without_criteria_is_invalid_so_nothing_passes_by_saying_nothing() -> None:
    outcome, _ = await reflect(drafts("one") | reviews(review()))
    assert (outcome.output, outcome.stopped_reason) == ("one", "unscored")
    assert outcome.details["passed"] is False


async def test_an_invalid_review_is_no_score_and_no_pass_and_is_recorded() -> None:
    script = drafts("one", "two") | reviews(review(a=1.0), review(a=0.9))
    script |= reviews(invalid("Sue"), review(b=0.9), by="Sue")
    outcome, caller = await reflect(script, (WRITER, CRITIC, SECOND))
    assert (outcome.stopped_reason, outcome.output) == ("passed", "one")
    assert caller.decisions()["block/invalid/0/sue"]["agent"] == "Sue"
    assert outcome.details["best_round"] == 0


async def test_all_reviews_invalid_keeps_the_draft_and_ends_it() -> None:
    outcome, caller = await reflect(drafts("one") | reviews(invalid("Carl")))
    assert (outcome.output, outcome.stopped_reason, len(caller.calls)) == ("one", "unscored", 2)
    assert set(outcome.agent_outputs) == {"wanda"}
    later = drafts("one", "two") | reviews(review(a=0.4), invalid("Carl"))
    assert (await reflect(later))[0].output == "one"


@pytest.mark.parametrize(("max_calls", "best"), [(1, "one"), (2, "one"), (3, "one"), (4, "two"), (5, "two")])
async def test_a_ceiling_ends_in_the_best_draft_so_far(max_calls: int, best: str) -> None:
    script = drafts("one", "two", "three") | reviews(review(a=0.4), review(a=0.6), review(a=0.7))
    outcome, caller = await reflect({}, caller=ScriptedCaller(script, max_calls=max_calls))
    assert (outcome.output, outcome.stopped_reason, len(caller.calls)) == (best, "max_calls", max_calls)


async def test_a_ceiling_before_the_first_draft_is_the_callers_to_handle() -> None:
    with pytest.raises(CeilingReached):
        await reflect({}, caller=ScriptedCaller({}, max_calls=0))


async def test_a_critic_that_cannot_be_reached_fails_the_block_by_name() -> None:
    with pytest.raises(AgentCallFailed) as failure:
        await reflect(drafts("one") | reviews(failed("Carl")))
    assert failure.value.agent == "Carl"


async def test_without_a_generator_each_upstream_output_is_reviewed_and_suggestions_are_data() -> None:
    deliveries = BlockInput(
        shared=(Delivery("Intro", "Hello"), Delivery("Body", {"text": "x"})),
        for_agent={"sue": (Delivery("Ann", "Only for Sue"),)},
    )

    def judge(call: Any) -> Any:
        found = next(label for label in ("Intro", "Body", "Ann") if f"## {label}\n" in call.prompt)
        return review(f"{call.agent.name} on {found}", a=0.9 if found == "Intro" else 0.5)

    outcome, caller = await reflect({"Carl": judge, "Sue": judge}, (CRITIC, SECOND), block_input=deliveries)
    output: Any = outcome.output
    assert outcome.stopped_reason == "done"
    assert output["drafts"] == {"Intro": "Hello", "Body": {"text": "x"}, "Ann": "Only for Sue"}
    assert {label: list(said["reviews"]) for label, said in output["suggestions"].items()} == {
        "Intro": ["Carl", "Sue"],
        "Body": ["Carl", "Sue"],
        "Ann": ["Sue"],
    }
    assert output["suggestions"]["Body"]["reviews"]["Carl"]["feedback"] == ["Carl on Body"]
    assert [said["passed"] for said in output["suggestions"].values()] == [True, False, False]
    assert output["passed"] is False
    assert len(caller.calls) == 5
    assert "Hello" not in caller.prompts("Carl")[1]


async def test_upstream_outputs_of_one_label_stay_apart() -> None:
    twins = BlockInput(shared=(Delivery("Ann", "one"), Delivery("Ann", "two")))
    outcome, _ = await reflect({"Carl": review(a=1.0)}, (CRITIC,), block_input=twins)
    output: Any = outcome.output
    assert output["drafts"] == {"Ann": "one", "Ann (2)": "two"}
    assert output["passed"] is True


async def test_what_reaches_a_reflector_twice_is_reviewed_once() -> None:
    twice = BlockInput(shared=(Delivery("Ann", "one"),), for_agent={"carl": (Delivery("Ann", "one"),)})
    outcome, caller = await reflect({"Carl": review(a=1.0)}, (CRITIC,), block_input=twice)
    assert (len(caller.calls), outcome.stopped_reason) == (1, "done")


async def test_reviewing_upstream_keeps_what_came_before_a_ceiling() -> None:
    upstream = BlockInput(shared=(Delivery("Intro", "Hello"), Delivery("Body", "World")))
    caller = ScriptedCaller({"Carl": review(a=1.0)}, max_calls=1)
    outcome, _ = await reflect({}, (CRITIC,), block_input=upstream, caller=caller)
    output: Any = outcome.output
    assert outcome.stopped_reason == "max_calls"
    assert (output["passed"], output["suggestions"]["Intro"]["passed"]) == (False, True)
    assert output["suggestions"]["Body"] == {"passed": False, "score": None, "reviews": {}}
    with pytest.raises(CeilingReached):
        await reflect({}, (CRITIC,), block_input=upstream, caller=ScriptedCaller({}, max_calls=0))


async def test_reviewing_upstream_without_a_valid_review_says_so() -> None:
    upstream = BlockInput(shared=(Delivery("Intro", "Hello"),))
    outcome, _ = await reflect({"Carl": invalid("Carl")}, (CRITIC,), block_input=upstream)
    assert (outcome.stopped_reason, outcome.agent_outputs) == ("unscored", {})


async def test_reviewing_nothing_fails_the_block() -> None:
    with pytest.raises(BlockFailed, match="nothing from upstream"):
        await reflect({}, (CRITIC,))


def test_problems_of_a_reflection() -> None:
    third = make_agent("Tim")
    block = make_pattern_block("reflection", (WRITER, CRITIC, third), {"criteria": ["a", "b", "a"]})
    found = [(problem.pointer, problem.code) for problem in reflection.check(block, block.data.config)]  # type: ignore[arg-type]  # a ReflectionConfig
    assert found == [("/data/agents/2", "unused_agent"), ("/data/config/criteria/2", "duplicate_criterion")]
    (missing,) = reflection.check(make_pattern_block("reflection", (WRITER,)), ReflectionConfig())
    assert missing.code == "missing_reflector"


def test_any_text_can_name_a_criterion() -> None:
    names = ("mro", "__class__", "Is it true?", "name")
    model = review_model(names)
    said = model.model_validate(review(**dict.fromkeys(names, 0.5)))
    assert [criterion.name for criterion in said.criteria] == list(names)


def rounds(outcome: BlockOutcome) -> list[Any]:
    found = outcome.details["rounds"]
    assert isinstance(found, list)
    return found
