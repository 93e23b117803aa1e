"""Every reason why a design cannot run, all at once and each at its place."""

import sys
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest

from executor.budget import Limits
from executor.providers.contract import Model, Price
from executor.schema_validator import count_work
from executor.spec import Block, Connection, Design
from executor.template_names import can_exist
from executor.tests.builders import make_agent, make_block, make_connection, make_design
from executor.validation import validate_design


class Models:
    """Knows the accounts `known` and `free`; only `free:` models have a price. Counts what it is asked."""

    def __init__(self, default_model: str = "known:default") -> None:
        self.default_model = default_model
        self.asked: list[str] = []

    def model(self, name: str) -> Model:
        raise AssertionError("Validation opens no connection.")

    def problem_with(self, name: str) -> str | None:
        self.asked.append(name)
        return None if name.startswith(("known:", "free:")) else f"There is no account for {name}."

    def price(self, name: str) -> Price | None:
        return Price(Decimal(0), Decimal(0)) if name.startswith("free:") else None


def found(design: Design, **options: Any) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in validate_design(design, models=Models(), **options)]


def test_a_sound_design_has_no_problems() -> None:
    design = make_design(["a", "b", "c"], [("a", "b"), ("a", "c"), ("b", "c")], input_schema={"type": "object"})
    assert found(design) == []


def test_all_problems_come_at_once_in_the_order_of_the_document() -> None:
    twins = [make_agent("Ann", id="x"), make_agent("Ann", id="x", model="gone:m", output_schema={"type": "objekt"})]
    design = make_design(
        [
            make_block("a", agents=twins, task="{{what}}", config={"context": ["Nobody"]}),
            make_block("a", label="a", agents=[]),
            *[make_block(f"b{i}") for i in range(9)],
            make_block("c", label=" ", agents=[make_agent(" ", id="y")]),
        ],
        [
            make_connection("a", "b0", id="one", source_agent="nobody"),
            make_connection("a", "gone", id="one"),
            make_connection("c", "c"),
        ],
        input_schema={"type": "array"},
    )
    assert found(design) == [
        ("/input_schema/type", "input_not_object"),
        ("/blocks/0/data/task", "unknown_template_name"),
        ("/blocks/0/data/agents/1/id", "duplicate_agent_id"),
        ("/blocks/0/data/agents/1/name", "duplicate_agent_name"),
        ("/blocks/0/data/agents/1/model", "unknown_model"),
        ("/blocks/0/data/agents/1/output_schema/type", "invalid_schema"),
        ("/blocks/0/data/config/context/0", "unknown_agent"),
        ("/blocks/1/id", "duplicate_block_id"),
        ("/blocks/1/data/label", "duplicate_label"),
        ("/blocks/1/data/agents", "too_few_agents"),
        ("/blocks/11/data/label", "empty_label"),
        ("/blocks/11/data/agents/0/name", "empty_agent_name"),
        ("/connections/0/source_agent", "unknown_agent"),
        ("/connections/1/id", "duplicate_connection_id"),
        ("/connections/1/target", "dangling_connection"),
        ("/connections/2", "self_connection"),
    ]


def test_a_design_without_blocks_cannot_run() -> None:
    assert found(make_design([])) == [("/blocks", "no_blocks")]


def test_agents_at_the_ends_of_connections_are_those_of_their_blocks() -> None:
    blocks = [make_block("a", agents=["Ann"]), make_block("b", agents=["Bob"])]
    good = make_connection("a", "b", source_agent="ann", target_agent="bob")
    bad = make_connection("a", "b", source_agent="bob", target_agent="ann")
    assert found(make_design(blocks, [good])) == []
    assert found(make_design(blocks, [bad])) == [
        ("/connections/0/source_agent", "unknown_agent"),
        ("/connections/0/target_agent", "unknown_agent"),
    ]


# Cycles


def test_a_cycle_is_refused_by_the_names_of_its_blocks_and_no_others() -> None:
    design = make_design(
        ["before", make_block("a", label="First"), "b", "c", "after"],
        [("before", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "after")],
    )
    [problem] = validate_design(design, models=Models())
    assert (problem.pointer, problem.code) == ("/connections/3", "cycle")
    assert problem.message == "These blocks wait for each other: First (a) → b → c → First (a)."


def test_each_strongly_connected_component_is_told_once() -> None:
    design = make_design(
        ["a", "b", "c", "d", "e"], [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "c"), ("d", "e"), ("e", "c")]
    )
    problems = validate_design(design, models=Models())
    assert [(problem.pointer, problem.message.partition(": ")[2]) for problem in problems] == [
        ("/connections/1", "a → b → a."),
        ("/connections/4", "c → d → c."),
    ]


# Templates


def chain_with_task(task: str, **options: Any) -> Design:
    return make_design(
        ["a", "b", make_block("c", task=task), "d", "side"], [("a", "b"), ("b", "c"), ("c", "d")], **options
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("blocks.a.output", None),
        (" blocks.b.output ", None),
        ("blocks.c.output", "not_upstream"),
        ("blocks.d.output", "not_upstream"),
        ("blocks.side.output", "not_upstream"),
        ("blocks.gone.output", "unknown_block"),
        ("blocks.a", "unknown_template_name"),
        ("something else", "unknown_template_name"),
        ("input.anything.at.all", None),
        ("input", "unknown_template_name"),
    ],
)
def test_a_template_may_name_the_input_and_any_block_before(name: str, code: str | None) -> None:
    assert found(chain_with_task(f"Use {{{{{name}}}}}.")) == ([] if code is None else [("/blocks/2/data/task", code)])


def test_system_prompts_are_templates_too() -> None:
    agent = make_agent("worker", system_prompt="{{blocks.b.output}}")
    design = make_design([make_block("a", agents=[agent]), "b"], [("a", "b")])
    assert found(design) == [("/blocks/0/data/agents/0/system_prompt", "not_upstream")]


def test_names_are_checked_beside_a_cycle_too() -> None:
    design = make_design(
        ["a", make_block("b", task="{{blocks.gone.output}}{{blocks.a.output}}{{x}}")], [("a", "b"), ("b", "a")]
    )
    assert found(design) == [
        ("/blocks/1/data/task", "unknown_block"),
        ("/blocks/1/data/task", "unknown_template_name"),
        ("/connections/1", "cycle"),
    ]


def test_an_input_name_that_the_schema_rules_out_is_a_problem() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    assert found(chain_with_task("{{input.a}}", input_schema=schema)) == []
    assert found(chain_with_task("{{input.b}}", input_schema=schema)) == [("/blocks/2/data/task", "unknown_input_name")]


CLOSED: dict[str, Any] = {"additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "path", "possible"),
    [
        ({}, "a.b", True),
        ({"type": "object", "properties": {"a": {}}}, "b", True),
        ({"properties": {"a": {"type": "string"}}}, "a.b", False),
        ({"properties": {"a": {"type": ["string", "object"]}}}, "a.b", True),
        ({"properties": {"a": {"properties": {"b": {}}, **CLOSED}}}, "a.b", True),
        ({"properties": {"a": {"properties": {"b": {}}, **CLOSED}}}, "a.c", False),
        ({"properties": {"a": False}}, "a", False),
        ({"patternProperties": {"^x_": {}}, **CLOSED}, "x_1", True),
        ({"patternProperties": {"^x_": {}}, **CLOSED}, "y_1", False),
        ({"additionalProperties": {"type": "string"}}, "a.b", False),
        ({"properties": {"a": {"type": "array", "items": {"type": "object", **CLOSED}}}}, "a.0", True),
        ({"properties": {"a": {"type": "array", "items": {"type": "object", **CLOSED}}}}, "a.0.b", False),
        ({"properties": {"a": {"type": "array"}}}, "a.b", False),
        ({"properties": {"a": {"type": "array", "prefixItems": [{}], "items": False}}}, "a.0", True),
        ({"properties": {"a": {"type": "array", "prefixItems": [{}], "items": False}}}, "a.1", False),
        ({"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"a": {}}, **CLOSED}}}, "a", True),
        ({"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"a": {}}, **CLOSED}}}, "b", False),
        ({"properties": {"a": {"$ref": "#"}}, **CLOSED}, "a.a.a", True),
        ({"properties": {"a": {"$ref": "#"}}, **CLOSED}, "a.a.b", False),
        ({"allOf": [{}, CLOSED]}, "a", False),
        ({"anyOf": [{"properties": {"a": {}}}, CLOSED]}, "a", True),
        ({"$ref": "#/$defs/none", **CLOSED}, "a", False),
        ({"$ref": "#"}, "a", True),
    ],
)
def test_whether_a_name_can_exist_under_a_schema(schema: dict[str, Any], path: str, possible: bool) -> None:
    count_work()
    assert can_exist(schema, tuple(path.split("."))) is possible


# Models and money


def test_every_model_named_is_looked_up_fallbacks_and_the_default_included() -> None:
    settings = {"fallbacks": ("known:b", "gone:c")}
    block = make_block("a", agents=[make_agent("Ann", model="gone:a", settings=settings), make_agent("Bob")])
    assert found(make_design([block])) == [
        ("/blocks/0/data/agents/0/model", "unknown_model"),
        ("/blocks/0/data/agents/0/settings/fallbacks/1", "unknown_model"),
    ]
    problems = validate_design(make_design(["a"]), models=Models(default_model="gone:x"))
    assert [(p.pointer, p.message) for p in problems] == [
        ("/blocks/0/data/agents/0/model", "There is no account for gone:x.")
    ]


def test_each_model_is_looked_up_once() -> None:
    models = Models()
    validate_design(make_design([f"b{i}" for i in range(50)]), models=models)
    assert models.asked == ["known:default"]


def test_a_ceiling_on_money_needs_a_price_for_every_model() -> None:
    agent = make_agent("Ann", model="free:x", settings={"fallbacks": ("known:y",)})
    design = make_design([make_block("a", agents=[agent])])
    assert found(design) == []
    assert found(design, limits=Limits(max_calls=3)) == []
    assert found(design, limits=Limits(max_cost=Decimal(1))) == [
        ("/blocks/0/data/agents/0/settings/fallbacks/0", "unpriced_model")
    ]


def test_the_largest_design_is_checked_without_going_over_it_again_for_each_block() -> None:
    def design_of(size: int) -> Design:
        ends = [(i, j) for i in range(size) for j in range(i + 1, min(i + 5, size))]
        blocks: list[Block | str] = [make_block(f"b{i}", task="{{blocks.b0.output}}" if i else "") for i in range(size)]
        connections: list[Connection | tuple[str, str]] = [(f"b{i}", f"b{j}") for i, j in ends]
        return make_design(blocks, connections)

    small, large = design_of(200), design_of(2_000)
    assert found(small) == found(large) == []
    # Ten times the blocks may take ten times the steps; a pass over the graph for each would take a hundred times.
    assert steps_for(large) < 15 * steps_for(small)


def steps_for(design: Design) -> int:
    """How many calls of Python functions a validation makes: an amount of work that no busy machine changes."""
    steps = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal steps
        steps += event == "call"

    sys.setprofile(count)
    try:
        validate_design(design, models=Models())
    finally:
        sys.setprofile(None)
    return steps


@pytest.mark.parametrize("name", ["²", "1" * 4_400])
def test_a_name_made_of_digits_is_a_problem_at_its_place_like_any_other(name: str) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {name: {"type": "nothing"}}}
    design = make_design(blocks=[make_block("a")]).model_copy(update={"input_schema": schema})
    assert (f"/input_schema/properties/{name}/type", "invalid_schema") in found(design)
