"""`offline:demo` says what it is, is always the same, and shows every pattern at work without a network."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from executor.json_types import Json, JsonObject
from executor.patterns.debate import Position, Revision
from executor.patterns.delegation import judgement_decision, plan_decision
from executor.patterns.reflection import Review, review_model
from executor.patterns.routing import routing_decision
from executor.prompts import Delivery, write_prompt
from executor.providers.accounts import OFFLINE
from executor.providers.contract import Message, ModelAnswer, ModelCallError, ModelRequest
from executor.providers.offline.model import OfflineModel
from executor.providers.registry import ProviderRegistry
from executor.results import ExecutionResult
from executor.run import run_design
from executor.spec import AgentSettings, Block
from executor.tests.builders import make_agent, make_block, make_design

FEEDBACK = (
    "The new dashboard is great and loads fast. However, invoices are wrong: I was charged twice in March and the"
    " refund never came. Support answered after nine days. Exporting reports to CSV fails with a timeout error."
    " I love the mobile app. Please fix billing, or we will cancel our subscription."
)
MODEL = OfflineModel("offline:demo")


async def ask(
    prompt: str, *, system: str = "", schema: JsonObject | None = None, max_output_tokens: int = 4_096
) -> ModelAnswer:
    settings = AgentSettings(max_output_tokens=max_output_tokens)
    return await MODEL.complete(ModelRequest(system, (Message("user", prompt),), settings, schema))


async def ask_json(prompt: str, schema: JsonObject, *, system: str = "") -> Any:
    value = json.loads((await ask(prompt, system=system, schema=schema)).text)
    Draft202012Validator(schema).validate(value)
    return value


def feedback_prompt(task: str = "Summarise the feedback.", instruction: str = "", **material: Json) -> str:
    deliveries = [
        Delivery("Input", FEEDBACK),
        *(Delivery(name.replace("_", " "), value) for name, value in material.items()),
    ]
    return write_prompt(task=task, deliveries=deliveries, instruction=instruction)


async def test_it_says_what_it_is_and_takes_its_sentences_from_the_input() -> None:
    first, *points = (await ask(feedback_prompt())).text.splitlines()
    assert first.startswith("[offline demo]")
    assert points
    assert all(point.removeprefix("- ") in FEEDBACK for point in points)


async def test_the_same_prompt_always_has_the_same_answer_streamed_or_not() -> None:
    pieces: list[str] = []
    request = ModelRequest("Be brief.", (Message("user", feedback_prompt()),), AgentSettings())
    one, two = await MODEL.complete(request), await OfflineModel("offline:demo").complete(request, pieces.append)
    assert one == two
    assert len(pieces) > 1
    assert "".join(pieces) == one.text
    assert one.usage.estimated
    assert one.usage.input_tokens > 0


async def test_agents_with_different_roles_pick_different_sentences() -> None:
    billing = await ask(feedback_prompt(), system="You look for invoices, refunds and billing.")
    support = await ask(feedback_prompt(), system="You judge how support answered, and after how many days.")
    assert billing.text != support.text
    assert "nine days" in support.text


async def test_it_keeps_to_the_limit_on_output_tokens() -> None:
    answer = await ask(feedback_prompt(), max_output_tokens=10)
    assert answer.truncated
    assert len(answer.text.encode()) <= 30


async def test_nothing_to_work_with_is_said_and_not_hidden() -> None:
    assert "no sentence" in (await ask("")).text


async def test_scores_rise_as_feedback_is_addressed() -> None:
    schema = review_model(("completeness", "clarity")).model_json_schema()
    first = (await ask(feedback_prompt())).text
    review = await ask_json(feedback_prompt(Draft=first, instruction="Judge the draft above against the task."), schema)
    revised = (
        await ask(feedback_prompt(Your_last_draft=first, Feedback_of_Carl=review, instruction="Write the draft again."))
    ).text
    again = await ask_json(
        feedback_prompt(Draft=revised, instruction="Judge the draft above against the task."), schema
    )
    assert [criterion["name"] for criterion in review["criteria"]] == ["completeness", "clarity"]
    assert review["feedback"]
    assert again["criteria"][0]["score"] > review["criteria"][0]["score"]


async def test_a_draft_that_leaves_nothing_out_is_repeated_word_for_word() -> None:
    draft = "\n".join(["[offline demo] Main points", *(f"- {part}." for part in FEEDBACK.rstrip(".").split(". "))])
    review = await ask_json(feedback_prompt(Draft=draft, instruction="Judge the draft."), Review.model_json_schema())
    assert review["feedback"] == []
    prompt = feedback_prompt(Your_last_draft=draft, Feedback_of_Carl=review, instruction="Write the draft again.")
    assert (await ask(prompt)).text == draft


async def test_it_routes_by_the_words_that_input_and_specialist_share() -> None:
    specialists = "The specialists:\n- Billing: Invoices, refunds, payments.\n- Technical: Crashes and errors.\n- Sales"
    schema = routing_decision(("Sales", "Technical", "Billing")).model_json_schema()
    for text, expected in {
        "I was charged twice, I want my invoice refunded": "Billing",
        "The app crashes with an error when I log in": "Technical",
    }.items():
        prompt = write_prompt(
            task="Handle it.", deliveries=[Delivery("Input", text)], instruction=f"You route. {specialists}"
        )
        best, *others = (await ask_json(prompt, schema))["routes"]
        assert best["specialist"] == expected
        assert best["confidence"] > 0.5 > max(other["confidence"] for other in others)


async def test_without_a_word_in_common_it_is_sure_of_nobody() -> None:
    schema = routing_decision(("Sales", "Billing")).model_json_schema()
    prompt = write_prompt(
        task="Handle it.", deliveries=[Delivery("Input", "Lorem ipsum dolor")], instruction="You route."
    )
    assert all(route["confidence"] < 0.5 for route in (await ask_json(prompt, schema))["routes"])


async def test_a_manager_gives_each_item_of_a_list_to_whom_it_suits() -> None:
    schema = plan_decision(("Writer", "Researcher")).model_json_schema()
    task = "Prepare a brief:\n- find the causes of the double charge\n- write an apology"
    about = "You are the manager. Your workers:\n- Writer: writes letters and apologies.\n- Researcher: finds causes."
    plan = await ask_json(feedback_prompt(task=task, instruction=about), schema)
    assert [entry["worker"] for entry in plan["assignments"]] == ["Researcher", "Writer"]
    assert all(FEEDBACK in entry["instruction"] for entry in plan["assignments"]), "a worker sees nothing else"
    assert plan["done"]


async def test_debaters_converge_on_the_surest_position() -> None:
    schema = Revision.model_json_schema()
    low: JsonObject = {"answer": "a", "confidence": 0.5, "rationale": "."}
    high: JsonObject = {"answer": "b", "confidence": 0.7, "rationale": "."}
    moved = await ask_json(feedback_prompt(Your_last_position=low, Position_B=high, instruction="Weigh them."), schema)
    stayed = await ask_json(feedback_prompt(Your_last_position=high, Position_A=low, instruction="Weigh them."), schema)
    assert (moved["answer"], moved["changed"]) == ("b", True)
    assert (stayed["answer"], stayed["changed"]) == ("b", False)


async def test_fields_are_read_from_the_input_by_their_names() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "sentiment": {"enum": ["positive", "neutral", "negative"]},
            "email": {"type": "string", "format": "email"},
            "amount": {"type": "number"},
            "customer": {"type": "string"},
            "urgent": {"type": "boolean"},
            "summary": {"type": "string", "maxLength": 60},
            "themes": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        },
        "required": ["sentiment", "email", "amount", "customer", "urgent", "summary", "themes"],
    }
    ticket: Json = {
        "customer": "ACME",
        "email": "jo@acme.example",
        "amount": 12.5,
        "text": "The invoice is wrong and the app is broken. Fix it today.",
    }
    found = await ask_json(write_prompt(task="Extract.", deliveries=[Delivery("Input", ticket)]), schema)
    assert (found["customer"], found["email"], found["amount"]) == ("ACME", "jo@acme.example", 12.5)
    assert found["sentiment"] == "negative"
    assert found["urgent"] is True


@pytest.mark.parametrize(
    "schema",
    [
        Position.model_json_schema(),
        Revision.model_json_schema(),
        Review.model_json_schema(),
        review_model(("a", "b", "c")).model_json_schema(),
        routing_decision(("a", "b")).model_json_schema(),
        plan_decision(("a", "b")).model_json_schema(),
        judgement_decision(("accept", "retry"), ()).model_json_schema(),
        judgement_decision(("accept", "retry", "reassign"), ("b",)).model_json_schema(),
        {"type": "array", "items": {"type": "integer", "minimum": 3}, "minItems": 2},
        {"type": "string", "minLength": 500},
        {
            "$ref": "#/$defs/Tree",
            "$defs": {
                "Tree": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
                    },
                    "required": ["name", "children"],
                }
            },
        },
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"const": 3}]}}, "required": ["a", "b"]},
        {"allOf": [{"properties": {"a": {"type": "integer"}}}, {"required": ["a"]}], "type": "object"},
        {"type": ["null", "number"], "exclusiveMinimum": 0, "maximum": 1},
    ],
    ids=lambda schema: str(schema.get("title", schema.get("type", "other"))),
)
@pytest.mark.parametrize("prompt", ["", "Do it.", feedback_prompt(), "## Draft\n\n## Feedback\n[1]"])
async def test_json_satisfies_its_schema_whatever_the_prompt(schema: JsonObject, prompt: str) -> None:
    await ask_json(prompt, schema)


def _objects(parts: st.SearchStrategy[JsonObject]) -> st.SearchStrategy[JsonObject]:
    names = st.sampled_from(["score", "reason", "answer", "confidence", "worker", "instruction", "title", "x_1"])

    def holding(properties: Any) -> JsonObject:
        return {"type": "object", "properties": properties, "required": list(properties)}

    return st.dictionaries(names, parts, max_size=4).map(holding)


_LEAVES: st.SearchStrategy[JsonObject] = st.one_of(
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 9),
        st.integers(0, 99),
    ),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-9, 9),
        st.integers(0, 9),
    ),
    st.builds(
        lambda low, more: {"type": "number", "minimum": low, "maximum": low + more},
        st.integers(-9, 9),
        st.integers(0, 9),
    ),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True).map(lambda options: {"enum": list(options)}),
)
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda parts: st.one_of(
        _objects(parts),
        st.builds(
            lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
            parts,
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        st.lists(parts, min_size=1, max_size=3).map(lambda options: {"anyOf": list(options)}),
    ),
    max_leaves=8,
)


@given(schema=_SCHEMAS, text=st.text(max_size=200))
async def test_json_satisfies_any_schema_of_types_bounds_and_enums(schema: JsonObject, text: str) -> None:
    await ask_json(
        write_prompt(task=text, deliveries=[Delivery("Draft", text)], instruction="Judge the draft."), schema
    )


async def run_block(block: Block) -> ExecutionResult:
    design = make_design([block])
    return await run_design(design, {"text": FEEDBACK}, models=ProviderRegistry([OFFLINE]))


async def test_every_pattern_completes_on_it() -> None:
    boss, moderator = make_agent("Boss", "manager"), make_agent("Mo", "moderator", system_prompt="You sum up.")
    ann = make_agent("Ann", system_prompt="You look for invoices and refunds.")
    bob = make_agent("Bob", system_prompt="You look at how fast support answers.")
    critic = make_agent("Critic", "reflector", system_prompt="You check that nothing is left out.")
    task = "Summarise the feedback."
    blocks = [
        make_block("sequential", "sequential", agents=[ann, bob], task=task),
        make_block("parallel", "parallel", agents=[ann, bob, moderator], config={"aggregate": "synthesize"}, task=task),
        make_block(
            "hierarchical", "hierarchical", agents=[boss, ann, bob], config={"must_consult": ["Bob"]}, task=task
        ),
        make_block("debate", "debate", agents=[ann, bob, moderator], task="What has to be solved first?"),
        make_block("routing", "routing", agents=[moderator, ann, bob], config={"default": "Bob"}, task=task),
        make_block("reflection", "reflection", agents=[ann, critic], task=task),
    ]
    for block in blocks:
        result = await run_block(block)
        assert result.status == "completed", (block.id, result)
        assert result.output, block.id


DOUBLING: dict[str, Any] = {
    f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}, {"$ref": f"#/$defs/d{level + 1}"}]}
    for level in range(25)
}


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "array", "minItems": 1_000_000_000_000, "items": {"const": 0}},
        {"type": "string", "minLength": 1_000_000_000_000},
        {"$ref": "#/$defs/d0"},
        {"type": "array", "minItems": 1_000, "items": {"const": "x" * 100_000}},
    ],
    ids=["items", "characters", "steps", "constants"],
)
async def test_a_schema_that_asks_for_an_endless_answer_is_refused_at_once(wanted: Any) -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"x": wanted},
        "required": ["x"],
        "$defs": {**DOUBLING, "d25": {"type": "string"}},
    }
    with pytest.raises(ModelCallError, match="too large an answer") as refusal:
        await ask("Answer.", schema=schema)
    assert not refusal.value.retryable


async def test_long_input_does_not_use_up_what_an_answer_may_cost() -> None:
    points = "\n".join(f"- point {number}" for number in range(3_000))
    item: JsonObject = {"type": "object", "properties": {"text": {"type": "string"}, "why": {"type": "string"}}}
    prompt = write_prompt(task="List them.", deliveries=[Delivery("Input", points)], instruction="")
    schema: JsonObject = {"type": "object", "properties": {"points": {"type": "array", "items": item}}}
    assert len((await ask_json(prompt, schema))["points"]) == 20
