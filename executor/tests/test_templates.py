"""Names between double braces: replaced once, literally, and nothing is ever evaluated."""

from typing import Any

import pytest

from executor.errors import BlockFailed
from executor.providers.accounts import OFFLINE
from executor.providers.registry import ProviderRegistry
from executor.run import run_design
from executor.templates import MAX_FILLED, Filling, InputName, OutputName, names_in, parse_name
from executor.tests.builders import make_agent, make_block, make_design


def filled(text: str, input_data: dict[str, Any] | None = None, **outputs: Any) -> str:
    return fill(text, input_data=input_data or {}, block_outputs=outputs)[0]


def fill(text: str, *, input_data: dict[str, Any], block_outputs: dict[str, Any]) -> tuple[str, list[str]]:
    filling = Filling(input_data=input_data, block_outputs=block_outputs)
    return filling.fill(text), list(filling.missing)


def test_input_and_outputs_are_put_in() -> None:
    text = "Sum up {{input.ticket.text}} and {{ blocks.first.output }}."
    assert filled(text, {"ticket": {"text": "this"}}, first="that") == "Sum up this and that."


def test_a_path_goes_into_objects_and_arrays() -> None:
    data: dict[str, Any] = {"rows": [{"name": "a"}, {"name": "b"}], "0": "zero"}
    assert filled("{{input.rows.1.name}}{{input.0}}", data) == "bzero"
    assert fill("{{input.rows.2.name}}{{input.rows.-1}}{{input.rows.x}}", input_data=data, block_outputs={}) == (
        "",
        ["input.rows.2.name", "input.rows.-1", "input.rows.x"],
    )


def test_what_is_not_text_is_put_in_as_compact_json() -> None:
    data = {"a": {"b": [1, None, True]}, "e": "é", "n": None, "z": 0}
    assert filled("{{input.a}} {{input.e}} {{input.n}} {{input.z}}", data) == '{"b":[1,null,true]} é null 0'


def test_what_was_put_in_is_never_looked_through_again() -> None:
    data = {"a": "{{input.b}}", "b": "secret", "open": "{{input", "close": ".b}}"}
    assert filled("{{input.a}}", data) == "{{input.b}}"
    assert filled("{{input.open}}{{input.close}}", data) == "{{input.b}}"
    assert filled("{{blocks.x.output}}", data, x="{{input.b}}") == "{{input.b}}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ something else }}",
        "{{input}}",
        "{{input.}}",
        "{{input..a}}",
        "{{blocks.x}}",
        "{{blocks..output}}",
        "{{blocks.output}}",
        "{{1 + 1}}",
        "{% raw %}{0.__class__}${x}%(x)s",
        "{input.a}",
        "{{}}",
        "}}{{",
        r"\1\g<0>{{x}}",
    ],
)
def test_anything_else_stays_as_it_is(text: str) -> None:
    assert fill(text, input_data={"a": 1}, block_outputs={"x": 1}) == (text, [])


def test_attributes_of_python_objects_are_out_of_reach() -> None:
    text, missing = fill("{{input.a.__class__}}{{input.a.upper}}", input_data={"a": "x"}, block_outputs={})
    assert (text, missing) == ("", ["input.a.__class__", "input.a.upper"])


def test_a_missing_name_becomes_empty_and_is_told_once() -> None:
    text, missing = fill("<{{input.a}}{{input.a}}{{blocks.b.output}}>", input_data={}, block_outputs={})
    assert (text, missing) == ("<>", ["input.a", "blocks.b.output"])


def test_block_ids_may_hold_dots() -> None:
    assert parse_name("blocks.a.b:c.output") == OutputName("a.b:c")
    assert parse_name("input.a.0") == InputName(("a", "0"))
    assert filled("{{blocks.a.output.output}}", {}, **{"a.output": "x"}) == "x"


def test_names_are_listed_once_in_order() -> None:
    assert names_in("{{ b }}{{a}}{{b}} {c} {{}}") == ["b", "a", ""]


def test_hostile_braces_are_read_in_one_pass() -> None:
    for text in ("{{" + " " * 200_000, "{" * 200_000, "{{ " * 60_000, "{{" + "a" * 200_000 + "}"):
        assert filled(text) == text
        assert names_in(text) == []


def test_a_short_template_cannot_grow_without_bound() -> None:
    data = {"a": "x" * 100_000}
    assert len(filled("{{input.a}}" * 20, data)) == MAX_FILLED
    with pytest.raises(BlockFailed, match=r"More than 2000000 characters .* at \{\{input\.a\}\}"):
        filled("{{input.a}}" * 400, data)
    with pytest.raises(BlockFailed):
        filled("{{input.a}}" * 400, {"a": ["x" * 100_000]})


def test_all_texts_of_a_block_share_the_bound() -> None:
    filling = Filling(input_data={"a": "x" * 100_000}, block_outputs={})
    for _ in range(20):
        filling.fill("{{input.a}}")
    with pytest.raises(BlockFailed):
        filling.fill("{{input.a}}")


async def test_a_block_whose_prompts_grow_beyond_the_bound_together_fails_and_says_why() -> None:
    data: dict[str, Any] = {"a": "x" * 150_000}
    agents = [make_agent(f"a{number}", system_prompt="{{input.a}}") for number in range(14)]
    design = make_design([make_block("b", agents=agents)])
    result = await run_design(design, data, models=ProviderRegistry([OFFLINE]))
    assert result.failure is not None
    assert "characters would be put into this block's task and system prompts" in result.failure.message
