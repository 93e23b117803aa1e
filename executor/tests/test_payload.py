"""What one execution may hold: counted exactly, the same after a resume, and the end of it where it is too much."""

import json
import sys
from typing import Any

import pytest

from executor.budget import Limits
from executor.errors import CannotRerun, PayloadExceeded
from executor.journal import InMemoryJournal
from executor.json_types import Json
from executor.payload import PART_BYTES, Payload, parsed_size, size_of
from executor.prompts import LONGEST_INDENTED, as_text
from executor.providers.contract import ModelRequest
from executor.reuse import FAILED
from executor.run import run_design
from executor.spec import Design
from executor.tests.builders import make_agent, make_block, make_connection, make_design
from executor.tests.models import ScriptedModels, Streamed
from executor.tests.reruns import Execution, say

INPUT = {"q": "Where does the rain come from?"}


def two_steps(**first: Any) -> Design:
    """The first block's config is given; the second has a template, a filled system prompt and an own format."""
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
    judge = make_agent("Judge", system_prompt="Be fair to {{input.q}}", output_schema=schema)
    return make_design(
        [
            make_block("first", agents=["Ann", "Bob"], task="Answer {{input.q}}", config=first),
            make_block("second", agents=[judge], task="Judge {{blocks.first.output}}"),
        ],
        [make_connection("first", "second")],
    )


class TestCounting:
    def test_what_does_not_fit_is_refused_and_counts_nothing(self) -> None:
        payload = Payload(10)
        payload.hold(10, "the input")
        with pytest.raises(PayloadExceeded, match=r"may hold 10 bytes\. It held 10, and the answer would add 1"):
            payload.hold(1, "the answer")
        payload.release(1)
        payload.hold(1, "the answer")
        assert payload.held == 10

    def test_an_answer_counts_as_it_comes_then_as_what_it_came_to_and_not_at_all_when_it_failed(self) -> None:
        payload = Payload(100)
        with payload.receiving("the answer") as incoming:
            incoming.grow_to(40)
            incoming.grow_to(30)
            assert payload.held == 40
            incoming.come_to(12)
        assert payload.held == 12
        with pytest.raises(PayloadExceeded):
            _receive(payload, 50, 89)
        assert payload.held == 12

    @pytest.mark.parametrize(
        "value",
        ["x" * 5_000, "ü" * 5_000, ["a"] * 2_000, {f"name{n}": n for n in range(1_000)}, [1.5, None, True] * 900],
        ids=lambda value: f"{value!s:.12}",
    )
    def test_a_value_counts_as_about_its_json(self, value: Json) -> None:
        written = len(json.dumps(value, ensure_ascii=False).encode())
        assert written / 2 < size_of(value) < written * 2

    def test_a_value_is_counted_however_deep(self) -> None:
        value: Json = "end"
        for _ in range(50_000):
            value = [value]
        assert size_of(value) > 50_000 * PART_BYTES
        assert size_of("\ud800") == 3


def test_a_deep_value_is_written_without_the_spaces_that_would_be_most_of_it() -> None:
    value: Json = [1] * 20_000
    for _ in range(90):
        value = [value]
    text = as_text(value)
    assert json.loads(text) == value
    assert len(text) < LONGEST_INDENTED / 10
    assert as_text({"a": [1]}) == json.dumps({"a": [1]}, indent=2)


class TestExecutions:
    def test_it_is_all_counted_and_one_byte_less_is_too_little(self) -> None:
        whole = Execution(two_steps(), input_data=dict(INPUT))
        assert whole.result is not None
        assert whole.result.failure is None
        prompts = [str(e.event.payload["prompt"]) for e in whole.events if e.event.type == "agent.completed"]
        assert whole.payload.held > sum(map(len, prompts)) + size_of(dict(INPUT))
        peak = _least(two_steps())
        assert peak >= whole.payload.held

    def test_at_every_point_a_resumed_run_holds_what_the_first_one_held(self) -> None:
        whole = Execution(two_steps(), input_data=dict(INPUT))
        for end in range(1, len(whole.events)):
            resumed = Execution(two_steps(), input_data=dict(INPUT), recorded=whole.events[:end])
            assert resumed.payload.held == whole.payload.held, whole.events[end - 1].event.type

    def test_what_is_recorded_counts_before_anything_more_is_asked(self) -> None:
        whole = Execution(two_steps(), input_data=dict(INPUT))
        second = next(place for place, entry in enumerate(whole.events) if entry.event.block_id == "second")
        recorded = whole.events[:second]
        held = size_of(dict(INPUT)) + InMemoryJournal(recorded).held_bytes()
        resumed = Execution(
            two_steps(), input_data=dict(INPUT), recorded=recorded, limits=Limits(max_payload_bytes=held - 1)
        )
        assert resumed.requests == []
        assert resumed.result is not None
        assert resumed.result.failure is not None
        assert (resumed.result.failure.code, resumed.result.failure.block_id) == ("payload_exceeded", "")
        assert "what is recorded of it" in resumed.result.failure.message

    @pytest.mark.parametrize("on_error", ["fail", "continue", "skip"])
    def test_it_ends_the_execution_whatever_is_done_about_failures_of_the_block(self, on_error: str) -> None:
        design = two_steps(on_error=on_error)
        limits = Limits(max_payload_bytes=20_000)
        first = Execution(design, input_data=dict(INPUT), limits=limits, answer=_long_winded)
        assert first.result is not None
        failure = first.result.failure
        assert failure is not None
        assert (failure.code, failure.block_id, first.result.output) == ("payload_exceeded", "first", None)
        assert "max_payload_bytes" in failure.message
        assert [e.event.payload["on_error"] for e in first.events if e.event.type == "block.failed"] == ["fail"]
        assert first.payload.held <= 20_000

        asked_again = Execution(design, input_data=dict(INPUT), limits=limits, recorded=first.events)
        assert asked_again.requests == []
        assert asked_again.result is not None
        assert asked_again.result.failure == failure

    @pytest.mark.parametrize("on_error", ["fail", "continue"])
    def test_run_again_from_what_failed_it_asks_for_that_alone(self, on_error: str) -> None:
        design = two_steps(on_error=on_error)
        first = Execution(design, input_data=dict(INPUT), limits=Limits(max_payload_bytes=20_000), answer=_long_winded)
        again = first.again(FAILED)
        assert again.result is not None
        assert again.result.status == "completed"
        assert [key for key in again.requests if key.startswith("first/")] == ["first/turn/0/bob"]
        with pytest.raises(CannotRerun) as refused:
            first.again("second")
        assert refused.value.code == "missing_results"


async def test_parallel_answers_share_one_bound() -> None:
    def models() -> ScriptedModels:
        return ScriptedModels(lambda _name, _request: Streamed(("x" * 1_000,) * 60))

    def design(agents: int) -> Design:
        return make_design([make_block("a", "parallel", agents=[f"A{n}" for n in range(agents)])])

    for live in (True, False):
        on_delta = (lambda _: None) if live else None
        alone = await run_design(design(1), {}, models=models(), limits=_bytes(200_000), on_delta=on_delta)
        assert alone.failure is None
        both = await run_design(design(2), {}, models=models(), limits=_bytes(200_000), on_delta=on_delta)
        assert both.failure is not None
        assert both.failure.code == "payload_exceeded"


async def test_a_value_of_many_small_parts_counts_as_what_it_takes_before_it_is_made() -> None:
    """A hundred thousand empty lists: 300 kB of text, and 7 MB of Python's lists."""
    answer = json.dumps([[]] * 100_000)
    agent = make_agent("Ann", output_schema={"type": "array"})
    design = make_design([make_block("a", agents=[agent])])
    for allowed, code in ((30_000_000, None), (3_000_000, "payload_exceeded")):
        models = ScriptedModels(lambda _name, _request: answer)
        result = await run_design(design, {}, models=models, limits=_bytes(allowed))
        assert code == (result.failure and result.failure.code)
    assert parsed_size(answer) >= sys.getsizeof([]) * 100_000
    assert "the value that 'Ann' answered" in str(result.failure)


async def test_an_input_too_large_is_said_to_be_the_input() -> None:
    result = await run_design(
        make_design([make_block("a")]), {"q": "x" * 5_000}, models=ScriptedModels({}), limits=_bytes(4_000)
    )
    assert result.failure is not None
    assert "its input would add" in result.failure.message


async def test_a_blocks_filled_texts_count_beside_the_prompts_that_are_made_of_them() -> None:
    """Each block's texts have a bound of their own; those of a thousand blocks that wait would be within it."""
    design = make_design([make_block("b", agents=["Ann"], task="{{input.q}}" * 20)])
    for allowed, code in ((500_000, None), (300_000, "payload_exceeded")):
        models = ScriptedModels(lambda _name, _request: "ok")
        result = await run_design(design, {"q": "x" * 10_000}, models=models, limits=_bytes(allowed))
        assert code == (result.failure and result.failure.code)


def _receive(payload: Payload, *sizes: int) -> None:
    with payload.receiving("the answer") as incoming:
        for size in sizes:
            incoming.grow_to(size)


def _bytes(size: int) -> Limits:
    return Limits(max_payload_bytes=size)


def _long_winded(name: str, request: ModelRequest) -> str:
    """Of the second agent: far too much."""
    return say(name, request) * (1_000 if "## Ann" in request.messages[-1].text else 1)


def _least(design: Design) -> int:
    """The least bound under which the design ends well; checks that less by one byte does not do."""
    low, high = 0, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        result = Execution(design, input_data=dict(INPUT), limits=_bytes(middle)).result
        assert result is not None
        low, high = (middle, high) if result.failure is not None else (low, middle)
    return high
