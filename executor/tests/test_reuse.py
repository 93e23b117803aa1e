"""What a re-run reuses, rule by rule; `test_reuse_random` holds them together over random designs."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from executor.budget import Limits
from executor.errors import CannotRerun
from executor.events import REUSED, RecordedEvent
from executor.providers.contract import ModelRequest
from executor.reuse import select_reuse
from executor.spec import Block, Design
from executor.tests.builders import make_block, make_connection, make_design
from executor.tests.reruns import Execution, agent, say, taken_over

ANN, BOB, CYD = agent("Ann"), agent("Bob"), agent("Cyd")
MO = agent("Mo", "moderator")


def one(name: str, **fields: Any) -> Block:
    """A sequential block of one agent, `worker`, on a model of the block's own."""
    return make_block(name, agents=[agent("worker")], **fields)


def chain(*names: str) -> Design:
    return make_design([one(name) for name in names], pairwise(names))


def alone(pattern: str, *agents: Any, **config: Any) -> Design:
    return make_design([make_block("b", pattern, agents=agents, config=config, task="Do it.")])


def called(name: str) -> str:
    """The key of a block's one call."""
    return f"{name}/turn/0/worker"


def refusal(execution: Execution, start_from: str) -> CannotRerun:
    with pytest.raises(CannotRerun) as refused:
        execution.again(start_from)
    return refused.value


class TestBlocks:
    def test_from_start_everything_runs_again(self) -> None:
        first = Execution(chain("a", "b"))
        again = first.again("start")
        assert again.requests == first.requests == [called("a"), called("b")]
        assert not any(entry.event.is_reused for entry in again.events)

    def test_from_failed_what_has_no_good_result_runs_and_nothing_else(self) -> None:
        design = make_design([one(name) for name in "abcdx"], [("a", "b"), ("b", "c"), ("c", "d"), ("a", "x")])
        first = Execution(design, failing=[called("c")])
        again = first.again("failed")
        assert sorted(again.requests) == [called("c"), called("d")]
        assert again.outputs() == Execution(design).outputs()

    def test_what_was_never_reached_or_was_stopped_runs_too(self) -> None:
        first = Execution(chain("a", "b", "c"), seconds=2.5)
        assert first.result is None
        ended = first.keys("agent.completed")
        assert 0 < len(ended) < 3
        again = first.again("failed")
        assert sorted([*again.requests, *ended]) == [called("a"), called("b"), called("c")]

    def test_from_a_block_it_and_all_that_come_after_it_run(self) -> None:
        connections = [("a", "b"), ("b", "c"), ("a", "x"), ("x", "c"), ("c", "d")]
        design = make_design([one(name) for name in "abcdx"], connections)
        again = Execution(design).again("b")
        assert sorted(again.requests) == [called("b"), called("c"), called("d")]
        assert sorted(again.keys("agent.completed", reused=True)) == [called("a"), called("x")]

    def test_a_block_and_what_comes_after_it_use_no_old_answer(self) -> None:
        again = Execution(chain("a", "b")).again("a")
        assert again.requests == [called("a"), called("b")]
        assert again.keys("agent.reusable") == []

    def test_a_failed_block_beside_the_chosen_one_runs_as_well(self) -> None:
        design = make_design([one(name) for name in ("a", "b", "broken", "after")], [("a", "b"), ("broken", "after")])
        first = Execution(design, failing=[called("broken")])
        assert first.result is not None
        assert first.result.status == "failed"
        again = first.again("a")
        assert sorted(again.requests) == sorted(map(called, ("a", "b", "broken", "after")))

    @pytest.mark.parametrize("start_from", ["failed", "end"])
    def test_a_failure_that_was_gone_on_after_is_mended_from_failed_and_kept_from_a_block(
        self, start_from: str
    ) -> None:
        default = {"on_error": "continue", "default_output": "a default"}
        design = make_design([one("a", config=default), one("end")], [("a", "end")])
        first = Execution(design, failing=[called("a")])
        again = first.again(start_from)
        if start_from == "failed":
            assert again.requests == [called("a"), called("end")]
            assert again.outputs() == Execution(design).outputs()
        else:
            assert again.requests == [called("end")]
            assert again.outputs() == first.outputs()

    def test_a_block_that_gets_the_same_default_again_costs_nothing_again(self) -> None:
        default = {"on_error": "continue", "default_output": "a default"}
        design = make_design([one("a", config=default), one("end")], [("a", "end")])
        again = Execution(design, failing=[called("a")]).again("failed", failing=[called("a")])
        assert again.requests == [called("a")]
        assert again.keys("agent.completed", reused=True) == [called("end")]

    def test_dead_branches_stay_dead_and_their_blocks_skipped(self) -> None:
        def answer(name: str, request: ModelRequest) -> str:
            route = {"specialist": "Ann", "confidence": 1.0, "reason": "As scripted."}
            return json.dumps({"routes": [route]}) if name.endswith("Mo") else say(name, request)

        design = make_design(
            [
                make_block("r", "routing", agents=[MO, ANN, BOB], config={"default": "Bob"}),
                *map(one, ("x", "y", "end")),
            ],
            [
                make_connection("r", "x", source_agent="ann"),
                make_connection("r", "y", source_agent="bob"),
                ("x", "end"),
                ("y", "end"),
            ],
        )
        first = Execution(design, failing=[called("end")], answer=answer)
        again = first.again("failed", answer=answer)
        assert again.requests == [called("end")]
        assert [entry.event.block_id for entry in again.events if entry.event.type == "block.skipped"] == ["y"]
        assert again.outputs() == Execution(design, answer=answer).outputs()
        assert refusal(first, "y").code == "block_not_reached"


class TestRefusals:
    def test_a_block_that_the_version_does_not_have(self) -> None:
        refused = refusal(Execution(make_design([one(f"b{number}") for number in range(12)])), "b12")
        assert refused.code == "unknown_block"
        assert "'b12'" in str(refused)
        assert "b9 and 2 more" in str(refused)

    def test_failed_when_nothing_failed(self) -> None:
        assert refusal(Execution(chain("a", "b")), "failed").code == "nothing_failed"

    def test_an_execution_that_was_stopped_after_its_last_block_is_ended_for_nothing(self) -> None:
        first = Execution(chain("a", "b"))
        assert first.events[-1].event.type == "execution.completed"
        again = first.again("failed", events=first.events[:-1])
        assert again.requests == []
        assert again.outputs() == first.outputs()

    def test_a_block_whose_ancestors_have_no_result_names_them(self) -> None:
        first = Execution(chain("a", "b", "c"), failing=[called("a")])
        refused = refusal(first, "c")
        assert refused.code == "missing_results"
        assert "a, b" in str(refused)
        assert "failed" in str(refused)
        assert first.again("a").requests == [called("a"), called("b"), called("c")]


class TestAnswersOfBlocksThatRunAgain:
    def test_turns_before_the_failed_one_are_used(self) -> None:
        design = alone("sequential", ANN, BOB, CYD)
        again = Execution(design, failing=["b/turn/0/bob"]).again()
        assert again.requests == ["b/turn/0/bob", "b/turn/0/cyd"]
        assert again.outputs() == Execution(design).outputs()

    def test_a_failed_branch_is_run_again_alone(self) -> None:
        broken = ["b/branch/0/bob", "b/branch/1/bob", "b/branch/0/cyd"]
        again = Execution(alone("parallel", ANN, BOB, CYD), failing=broken).again()
        assert again.requests == ["b/branch/0/bob"]
        assert again.keys("agent.failed", reused=True) == ["b/branch/0/cyd"]  # it was retried, and made good for

    @pytest.mark.parametrize("join", ["any", 2])
    def test_a_join_that_was_met_asks_no_branch_again(self, join: str | int) -> None:
        design = alone("parallel", ANN, BOB, CYD, MO, aggregate="synthesize", join=join)
        first = Execution(design, failing=["b/synthesis/0/mo"])
        again = first.again()
        assert again.requests == ["b/synthesis/0/mo"]
        assert len(again.keys("agent.completed", reused=True)) == (1 if join == "any" else 2)

    def test_an_invalid_decision_and_what_followed_from_it_are_made_anew(self) -> None:
        def garbled(name: str, request: ModelRequest) -> str:
            return "I would say Ann." if name.endswith("Mo") else say(name, request)

        def sound(name: str, request: ModelRequest) -> str:
            route = {"specialist": "Ann", "confidence": 1.0, "reason": "As scripted."}
            return json.dumps({"routes": [route]}) if name.endswith("Mo") else say(name, request)

        design = alone("routing", MO, ANN, BOB, default="Bob")
        first = Execution(design, failing=["b/specialist/0/bob"], answer=garbled)
        assert first.requests == ["b/route/0/mo", "b/route/0/mo/1", "b/route/0/mo/2", "b/specialist/0/bob"]
        again = first.again(answer=sound)
        assert again.requests == ["b/route/0/mo", "b/specialist/0/ann"]

    def test_answers_that_led_to_the_failure_by_themselves_are_made_anew(self) -> None:
        def answer_with(grade: str) -> Callable[[str, ModelRequest], str]:
            return lambda name, request: grade

        schema = {"type": "object", "properties": {"grade": {"type": "string"}}}
        voters = [agent(name, output_schema=schema) for name in ("Ann", "Bob")]
        design = alone("parallel", *voters, aggregate="vote", vote_field="grade")
        first = Execution(design, answer=answer_with("{}"))
        assert first.result is not None
        assert first.result.failure is not None
        assert first.result.failure.code == "block_failed"
        again = first.again(answer=answer_with('{"grade": "a"}'))
        assert sorted(again.requests) == ["b/branch/0/ann", "b/branch/0/bob"]
        assert again.outputs()["output"] == "a"

    def test_what_a_ceiling_stopped_goes_on_under_a_new_one(self) -> None:
        design = chain("a", "b")
        first = Execution(design, limits=Limits(max_calls=1))
        assert first.result is not None
        assert first.result.failure is not None
        assert first.result.failure.code == "budget_exceeded"
        again = first.again(limits=Limits(max_calls=1))
        assert again.requests == [called("b")]
        assert again.outputs() == Execution(design).outputs()

    def test_a_repaired_answer_comes_along_with_its_repairs(self) -> None:
        def answer(name: str, request: ModelRequest) -> str:
            return say(name, request) if request.output_schema is None or len(request.messages) > 1 else "Not JSON."

        boss = agent("Boss", output_schema={"type": "object", "required": []})
        design = alone("sequential", boss, BOB)
        again = Execution(design, failing=["b/turn/0/bob"], answer=answer).again(answer=answer)
        assert again.requests == ["b/turn/0/bob"]
        assert again.keys("agent.completed", reused=True) == ["b/turn/0/boss", "b/turn/0/boss/1"]

    def test_a_debater_that_missed_a_round_and_went_on_does_not_make_the_debate_anew(self) -> None:
        design = alone("debate", ANN, BOB, MO, rounds=3)
        answer = disagree
        first = Execution(design, failing=["b/statement/1/ann", "b/synthesis/0/mo"], answer=answer)
        assert first.result is not None
        assert first.result.status == "failed"
        again = first.again(answer=answer)
        assert again.requests == ["b/synthesis/0/mo"]

    def test_the_failure_that_a_block_names_is_never_history(self) -> None:
        """Beside the call that fails the block another one of its agent may come in: a manager judges two at once."""
        first = Execution(alone("sequential", ANN, BOB), failing=["b/turn/0/bob"])
        of_ann = [replace(entry.event, agent="Bob") for entry in first.events if entry.event.agent == "Ann"]
        others = [entry.event for entry in first.events if entry.event.agent != "Ann"]
        assert [event.type for event in others[-2:]] == ["agent.failed", "block.failed"]
        events = [*others[:-1], *of_ann, others[-1]]
        reuse = select_reuse(
            first.design, [RecordedEvent(event, place) for place, event in enumerate(events)], "failed"
        )
        assert {events[place].key for place in reuse.offered} == {"b/turn/0/ann"}

    def test_another_answer_upstream_leaves_the_old_ones_lying(self) -> None:
        default = {"on_error": "continue", "default_output": "a default"}
        design = make_design(
            [one("a", config=default), make_block("end", "parallel", agents=[ANN, BOB], task="Do it.")],
            [make_connection("a", "end", target_agent="ann")],
        )
        again = Execution(design, failing=[called("a")]).again()
        assert sorted(again.requests) == [called("a"), "end/branch/0/ann"]
        assert again.keys("agent.completed", reused=True) == ["end/branch/0/bob"]
        assert again.outputs() == Execution(design).outputs()


def disagree(name: str, request: ModelRequest) -> str:
    """A debater that says something else every time."""
    if request.output_schema is None:
        return say(name, request)
    return json.dumps({"answer": say(name, request), "confidence": 0.5, "rationale": ""} | _change(request))


def _change(request: ModelRequest) -> dict[str, bool]:
    properties = (request.output_schema or {})["properties"]
    return {"changed": True} if isinstance(properties, dict) and "changed" in properties else {}


class TestEditedInput:
    DESIGN = make_design(
        [one("a", task="{{input.q}}"), one("b"), one("c", task="{{input.q}} {{blocks.a.output}}")],
        [("a", "b"), ("b", "c")],
    )

    def test_it_reaches_only_the_blocks_that_run_again(self) -> None:
        first = Execution(self.DESIGN)
        again = first.again("c", input_data={"q": "why not"})
        assert again.requests == [called("c")]
        [prompt] = [
            entry.event.payload["prompt"]
            for entry in again.events
            if entry.event.type == "agent.started" and entry.event.block_id == "c"
        ]
        assert str(prompt).startswith("why not ")
        assert str(first.outputs()["blocks"]["a"]) in str(prompt)  # type: ignore[index, call-overload]  # JSON
        assert "prompt_changed" not in str(again.events)

    def test_answers_to_the_old_input_are_left_lying(self) -> None:
        design = make_design([make_block("b", agents=[ANN, BOB], task="{{input.q}}")])
        first = Execution(design, failing=["b/turn/0/bob"])
        assert first.again().requests == ["b/turn/0/bob"]
        edited = first.again(input_data={"q": "why not"})
        assert edited.requests == ["b/turn/0/ann", "b/turn/0/bob"]
        assert edited.outputs() == Execution(design, input_data={"q": "why not"}).outputs()
        assert "prompt_changed" not in str(edited.events)


class TestMoney:
    def test_only_new_calls_count_and_what_was_reused_stays_visible(self) -> None:
        first = Execution(chain("a", "b"), failing=[called("b")])
        reuse = select_reuse(first.design, first.events, "failed")
        assert (reuse.ended, reuse.usage.calls, reuse.usage.cost) == (1, 1, Decimal("0.00012"))
        again = first.again()
        assert again.result is not None
        assert (again.result.usage.calls, again.result.usage.cost) == (1, Decimal("0.00012"))
        [kept] = [
            entry.event for entry in again.events if entry.event.type == "agent.completed" and entry.event.is_reused
        ]
        assert (kept.payload["cost"], kept.payload["tries"]) == ("0.00012", 1)

    def test_a_block_counts_what_it_asked_itself(self) -> None:
        again = Execution(alone("sequential", ANN, BOB), failing=["b/turn/0/bob"]).again()
        [completed] = [entry.event for entry in again.events if entry.event.type == "block.completed"]
        assert completed.payload["usage"] == {"calls": 1, "input_tokens": 100, "output_tokens": 10, "estimated": False}

    def test_what_was_reused_is_in_no_budget_of_a_resumed_attempt_either(self) -> None:
        again = Execution(alone("sequential", ANN, BOB), failing=["b/turn/0/bob"]).again()
        resumed = Execution(again.design, recorded=again.events)
        assert resumed.requests == []
        assert (again.budget.used.calls, resumed.budget.used.calls) == (1, 1)


class TestMarks:
    def test_the_mark_says_who_paid_and_when_and_keeps_saying_so(self) -> None:
        first = Execution(chain("a", "b", "c"), failing=[called("b")])
        second = Execution(
            first.design,
            recorded=taken_over(select_reuse(first.design, first.events, "failed"), first.events, "first"),
            failing=[called("c")],
        )
        third = taken_over(select_reuse(first.design, second.events, "failed"), second.events, "second")
        marks = {
            str(entry.event.block_id): entry.event.payload[REUSED]
            for entry in third
            if entry.event.type == "agent.completed"
        }
        at = next(entry.event.at for entry in first.events if entry.event.type == "agent.completed")
        assert marks["a"] == {"execution_id": "first", "at": at.isoformat().replace("+00:00", "Z")}
        assert marks["b"]["execution_id"] == "second"  # type: ignore[index, call-overload]  # JSON
        again = Execution(first.design, recorded=third)
        assert again.requests == [called("c")]
        assert again.outputs() == Execution(first.design).outputs()

    def test_answers_that_were_not_used_yet_come_along_again(self) -> None:
        first = Execution(alone("sequential", ANN, BOB), failing=["b/turn/0/bob"])
        reuse = select_reuse(first.design, first.events, "failed")
        accepted: list[RecordedEvent] = taken_over(reuse, first.events)  # and then cancelled before it began
        again = first.again(events=accepted)
        assert again.requests == ["b/turn/0/bob"]

    def test_a_whole_block_comes_along_with_its_trace_and_its_warning(self) -> None:
        design = make_design([one("a", task="{{input.gone}}"), one("b")], [("a", "b")])
        again = Execution(design).again("b")
        types = [entry.event.type for entry in again.events if entry.event.block_id == "a"]
        assert types == ["block.started", "execution.warning", "agent.started", "agent.completed", "block.completed"]
