"""Structured answers: parsed strictly, repaired in conversation, and replayed to the same end."""

from decimal import Decimal
from typing import Any, cast

import pytest

from executor.errors import InvalidOutput
from executor.json_types import Json, JsonObject
from executor.providers.contract import Message, ModelAnswer, TokenUsage
from executor.structured_output import MAX_DEPTH, read_structured
from executor.tests.models import USAGE, Stalled, Streamed, busy
from executor.tests.orchestration import ANSWER_SCHEMA, Rig, make_call

ANY: JsonObject = {}
GOOD = '{"score": 4}'


@pytest.mark.parametrize(
    "text",
    [GOOD, f"\n\t {GOOD}\r\n", f"```json\n{GOOD}\n```", f"  ```\n{GOOD}\n```\n", '```json\n{\n"score":\n4}\n  ```'],
)
async def test_json_is_read_alone_or_in_one_fence(text: str) -> None:
    rig = Rig({"scripted:first": [text]})
    step = await rig.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    assert step.output == {"score": 4}
    assert (step.text, step.tries) == (text, 1)
    [payload] = rig.payloads("agent.completed")
    assert (payload["output"], payload["text"]) == ({"score": 4}, text)
    assert rig.models.requests[0][1].output_schema == ANSWER_SCHEMA


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"Here you are: {GOOD}",
        f"{GOOD} {GOOD}",
        f"```json\n{GOOD}\n```\nHope it helps!",
        "NaN",
        "[Infinity]",
        '{"a": 1e999}',
        "9" * 301,
        "9" * 5_000,
        "[" * 200 + "]" * 200,
        "[" * 200_000,
        "{'score': 4}",
    ],
    ids=lambda text: text[:12],
)
def test_nothing_more_clever_is_tried(text: str) -> None:
    reading = read_structured(text, ANY, truncated=False)
    assert reading.value is None
    assert reading.error is not None
    assert "not valid JSON" in reading.error


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\u0000b"', "ab"),
        (r'{"k\ud800": ["\uDFFF"]}', {"k\ufffd": ["\ufffd"]}),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\\u0000"', r"\u0000"),
        ("0.5", 0.5),
        ("-12", -12),
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, None),
        ('"' + "[" * 200 + '"', "[" * 200),
    ],
)
def test_values_that_no_database_stores_are_cleaned_and_others_are_not_touched(text: str, value: Json) -> None:
    reading = read_structured(text, ANY, truncated=False)
    assert reading.error is None
    assert value is None or reading.value == value


async def test_an_invalid_answer_goes_back_with_what_is_wrong_and_where() -> None:
    rig = Rig({"scripted:first": ['{"score": -1, "x": 0}', "nonsense", GOOD]})
    step = await rig.orchestrator.call(make_call("Score it.", schema=ANSWER_SCHEMA))
    assert (step.output, step.tries, step.key) == ({"score": 4}, 3, "b1/turn/0/ann")
    assert step.prompt == "Score it."
    first, second, third = rig.models.conversations
    assert first == (Message("user", "Score it."),)
    assert second[:2] == (*first, Message("assistant", '{"score": -1, "x": 0}'))
    assert (second[2].role, len(second)) == ("user", 3)
    assert "At /score: " in second[2].text
    assert third[:4] == (*second, Message("assistant", "nonsense"))
    assert "not valid JSON" in third[4].text


async def test_each_repair_is_a_checkpoint_of_its_own_and_the_step_adds_them_up() -> None:
    rig = Rig({"scripted:first": ["bad", busy(), GOOD]})
    step = await rig.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    assert rig.keys("agent.completed") == ["b1/turn/0/ann", "b1/turn/0/ann/1"]
    first, second = rig.payloads("agent.completed")
    assert (first["output"], first["repair"], second["repair"]) == ("bad", 0, 1)
    assert "text" not in first
    assert "not valid JSON" in cast("str", first["error"])
    assert second["error"] is None
    assert (first["tries"], second["tries"], step.tries) == (1, 2, 3)
    assert step.usage == TokenUsage(2 * USAGE.input_tokens, 2 * USAGE.output_tokens)
    assert step.position == rig.events("agent.completed")[1].position
    assert step.cost == rig.budget.used.cost == 2 * Decimal("0.0006")
    assert rig.budget.used.calls == 3


async def test_an_answer_that_stays_invalid_fails_after_two_repairs() -> None:
    rig = Rig({"scripted:first": ["a", "b", '{"score": "high"}']})
    with pytest.raises(InvalidOutput, match="'Ann' gave no answer of the form asked for") as failed:
        await rig.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    assert "At /score" in str(failed.value)
    assert (failed.value.code, failed.value.block_id, failed.value.agent) == ("invalid_output", "b1", "Ann")
    assert rig.keys("agent.completed") == ["b1/turn/0/ann", "b1/turn/0/ann/1"]
    assert rig.keys("agent.failed") == ["b1/turn/0/ann/2"]
    [payload] = rig.payloads("agent.failed")
    assert (payload["code"], payload["output"]) == ("invalid_output", '{"score": "high"}')
    assert payload["usage"] == {"input_tokens": 100, "output_tokens": 20, "estimated": False}


async def test_recorded_invalid_answers_lead_to_the_same_failure() -> None:
    first = Rig({"scripted:first": ["a", "b", "c"]})
    with pytest.raises(InvalidOutput) as made:
        await first.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    again = Rig({}, recorded=first.memory.events)
    with pytest.raises(InvalidOutput) as replayed:
        await again.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    assert str(replayed.value) == str(made.value)
    assert again.events("execution.warning") == []
    assert again.orchestrator.usage == first.orchestrator.usage


@pytest.mark.parametrize("kept", [1, 2, 3, 4])
async def test_a_resumed_run_repairs_from_where_the_record_ends(kept: int) -> None:
    replies: list[Any] = ["bad", "worse", GOOD]
    first = Rig({"scripted:first": replies})
    made = await first.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    again = Rig({"scripted:first": replies[kept // 2 :]}, recorded=first.memory.events[:kept])
    step = await again.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    assert again.models.conversations == first.models.conversations[kept // 2 :]
    assert (step.output, step.usage, step.cost, step.tries) == (made.output, made.usage, made.cost, made.tries)
    assert again.events("execution.warning") == []
    assert not step.replayed


async def test_an_answer_cut_short_by_the_token_limit_is_told_so() -> None:
    cut = ModelAnswer('{"score"', USAGE, truncated=True)
    rig = Rig({"scripted:first": [cut, GOOD]})
    await rig.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    assert "cut off at the limit of output tokens" in rig.models.prompts[1]
    assert [payload.get("truncated") for payload in rig.payloads("agent.completed")] == [True, None]


async def test_an_empty_answer_is_never_sent_back_as_an_empty_turn() -> None:
    rig = Rig({"scripted:first": ["", GOOD]})
    await rig.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    assert all(message.text for message in rig.models.conversations[1])


async def test_a_hundred_problems_are_not_all_recited() -> None:
    schema: JsonObject = {"type": "array", "items": {"type": "string"}}
    rig = Rig({"scripted:first": ["[" + ",".join(["1"] * 90) + "]", "[]"]})
    await rig.orchestrator.call(make_call(schema=schema))
    assert rig.models.prompts[1].count("At /") == 20
    assert "70 more problems" in rig.models.prompts[1]


async def test_a_repair_streams_under_its_own_key() -> None:
    rig = Rig({"scripted:first": [Streamed(("ba", "d")), Streamed((GOOD,))]}, live=True)
    await rig.orchestrator.call(make_call(schema=ANSWER_SCHEMA))
    assert [(delta.key, delta.offset) for delta in rig.deltas] == [
        ("b1/turn/0/ann", 0),
        ("b1/turn/0/ann", 2),
        ("b1/turn/0/ann/1", 0),
    ]


async def test_a_repair_keeps_to_the_deadline_of_its_call() -> None:
    rig = Rig({"scripted:first": ["bad", Stalled()]})
    call = make_call(schema=ANSWER_SCHEMA, deadline=rig.clock.monotonic() + 5)
    with pytest.raises(Exception, match="time limit"):
        await rig.orchestrator.call(call)
    assert rig.keys("agent.completed") == ["b1/turn/0/ann"]
    assert rig.budget.used.calls == 2
