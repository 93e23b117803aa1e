"""Schemas from strangers: what is refused, and what a value is told."""

import json
from typing import Any

import pytest

from executor.json_schema import validate_instance
from executor.schema_check import MAX_SCHEMA_DEPTH, check_schema

TICKET: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1},
        "tags": {"type": "array", "items": {"enum": ["bug", "idea"]}, "uniqueItems": True},
        "a/b~c": {"type": "integer"},
    },
    "required": ["text"],
    "additionalProperties": False,
}


def found(schema: Any, value: Any) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in validate_instance(schema, value)]


def refused(schema: Any) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in check_schema(schema)]


def test_a_value_that_fits_has_no_problems() -> None:
    assert check_schema(TICKET) == []
    assert found(TICKET, {"text": "x", "tags": ["bug", "idea"], "a/b~c": 3.0}) == []


def test_every_problem_of_a_value_has_a_pointer_to_its_place() -> None:
    value: dict[str, Any] = {"tags": ["bug", "x", "bug"], "a/b~c": True, "more": 1}
    assert sorted(found(TICKET, value)) == [
        ("/a~1b~0c", "type"),
        ("/more", "additionalProperties"),
        ("/tags/1", "enum"),
        ("/tags/2", "uniqueItems"),
        ("/text", "required"),
    ]


def test_a_message_is_a_sentence_that_does_not_repeat_a_huge_value() -> None:
    [problem] = validate_instance({"type": "integer"}, "x" * 100_000)
    assert problem.message == "This value has to be of type integer, not string."
    [problem] = validate_instance({"not": {"type": "string"}}, "x" * 100_000)
    assert len(problem.message) < 500


def test_the_nearest_of_several_forms_is_explained() -> None:
    schema: dict[str, Any] = {"anyOf": [{"type": "object", "required": ["x"]}, {"type": "string"}]}
    [problem] = validate_instance(schema, {})
    assert "/x is required" in problem.message


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(a+)+$"},
        {"patternProperties": {"^(a+)+$": {"type": "integer"}}},
        {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
        # The root is met again with its `$schema`, by which jsonschema would choose a validator of its own.
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {"x": {"$ref": "#"}},
            "pattern": "^(a+)+$",
        },
    ],
)
def test_a_pattern_that_would_hang_a_backtracking_engine_is_answered_at_once(schema: dict[str, Any]) -> None:
    # With `re` any one of these would run until the end of the universe, and this test with it.
    assert check_schema(schema) == []
    hostile = "a" * 50_000 + "!"
    values: list[Any] = [hostile, {hostile: 1}, {"x": hostile}, [hostile]]
    for value in values:
        validate_instance(schema, value)


def test_patterns_search_as_json_schema_says() -> None:
    assert found({"pattern": "b+"}, "abbc") == []
    assert found({"pattern": "^b"}, "abbc") == [("", "pattern")]
    assert found({"pattern": "^.$"}, "é") == []
    assert found({"pattern": "x"}, "\ud800") == [("", "pattern")]
    assert found(
        {"patternProperties": {"^n_": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
        {"n_a": "x", "b": 1},
    ) == [
        ("/n_a", "type"),
        ("/b", "type"),
    ]


@pytest.mark.parametrize("pattern", ["(?=a)", "(", r"(a)\1", "(a{1000}){1000}"])
def test_a_pattern_that_cannot_run_in_linear_time_is_refused_with_a_reason(pattern: str) -> None:
    schema: dict[str, Any] = {"properties": {"x": {"pattern": pattern}}, "patternProperties": {pattern: {}}}
    problems = check_schema(schema)
    assert {problem.code for problem in problems} == {"invalid_pattern"}
    assert "/properties/x/pattern" in {problem.pointer for problem in problems}
    assert len(problems) == 2
    assert "RE2" in problems[0].message


@pytest.mark.parametrize("reference", ["http://127.0.0.1:1/schema", "file:///etc/passwd", "other.json", "#anchor"])
def test_only_references_into_the_schema_itself_are_followed(reference: str) -> None:
    assert refused({"properties": {"x": {"$ref": reference}}}) == [("/properties/x/$ref", "remote_reference")]


def test_a_reference_has_to_name_a_schema() -> None:
    assert refused({"$ref": "#/$defs/none"}) == [("/$ref", "unknown_reference")]
    # Data is not checked as a schema, so nothing may use it as one.
    assert refused({"$ref": "#/default", "default": {"pattern": "("}}) == [("/$ref", "unknown_reference")]
    assert refused({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "string"}}}) == []
    assert refused({"$ref": "#/$defs/any", "$defs": {"any": True}}) == []


def test_references_that_never_step_into_the_value_are_refused() -> None:
    assert refused({"$ref": "#"}) == [("/$ref", "endless_reference")]
    loop = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}
    assert [code for _, code in refused(loop)] == ["endless_reference"]


def test_a_recursive_schema_is_fine_as_long_as_it_steps_into_the_value() -> None:
    tree: dict[str, Any] = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}
    assert check_schema(tree) == []
    assert found(tree, {"children": [{"children": [3]}]}) == [("/children/0/children/0", "type")]


@pytest.mark.parametrize(
    ("schema", "where", "code"),
    [
        ({"type": "objekt"}, "/type", "invalid_schema"),
        ({"properties": {"x": 3}}, "/properties/x", "invalid_schema"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "unsupported_dialect"),
        (
            {"items": {"$schema": "https://json-schema.org/draft/2020-12/schema"}},
            "/items/$schema",
            "unsupported_keyword",
        ),
        ({"items": {"$id": "http://x/y"}}, "/items/$id", "unsupported_keyword"),
        ({"$dynamicRef": "#x"}, "/$dynamicRef", "unsupported_keyword"),
        ({"unevaluatedProperties": False}, "/unevaluatedProperties", "unsupported_keyword"),
        ([], "", "invalid_schema"),
        (True, "", "invalid_schema"),
        ({"description": "x" * 300_000}, "", "too_large"),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_place(schema: Any, where: str, code: str) -> None:
    assert (where, code) in refused(schema)


def test_nesting_is_bounded_without_recursion() -> None:
    schema: dict[str, Any] = {}
    for _ in range(20_000):
        schema = {"not": schema}
    assert refused(schema) == [("", "too_deep")]


def test_the_deepest_schema_allowed_can_be_checked_and_used() -> None:
    schema: dict[str, Any] = {"type": "string"}
    value: Any = 1
    for _ in range((MAX_SCHEMA_DEPTH - 1) // 2):
        schema = {"properties": {"a": schema}}
        value = {"a": value}
    assert check_schema(schema) == []
    assert [code for _, code in found(schema, value)] == ["type"]


def test_references_that_multiply_each_other_are_stopped() -> None:
    levels = 40
    doubling: dict[str, Any] = {
        f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}, {"$ref": f"#/$defs/a{i + 1}"}]} for i in range(levels)
    }
    schema: dict[str, Any] = {"$ref": "#/$defs/a0", "$defs": {**doubling, f"a{levels}": {}}}
    assert check_schema(schema) == []
    assert found(schema, 1) == [("", "too_complex")]


def test_a_value_too_deep_for_a_recursive_schema_is_a_problem_not_a_crash() -> None:
    value: Any = []
    for _ in range(5_000):
        value = [value]
    assert found({"items": {"$ref": "#"}}, value) == [("", "too_deep")]


def test_large_plain_values_are_checked_whole() -> None:
    assert found({"items": {"type": "integer"}, "uniqueItems": True}, list(range(20_000))) == []
    assert found({"uniqueItems": True}, [{"a": [i]} for i in range(5_000)] + [{"a": [7.0]}]) == [
        ("/5000", "uniqueItems")
    ]


def test_one_and_true_are_different_and_one_and_1_0_are_not() -> None:
    assert found({"uniqueItems": True}, [1, True, "1", None]) == []
    assert found({"uniqueItems": True}, [{"a": 1}, {"a": 1.0}]) == [("/1", "uniqueItems")]


def test_two_schemas_never_share_a_validator() -> None:
    first, second = json.loads('{"type": "string"}'), json.loads('{"type": "integer"}')
    assert found(first, 1) == [("", "type")]
    assert found(second, 1) == []
    first["type"] = "integer"
    assert found(first, 1) == []


def test_at_most_a_hundred_problems_are_listed() -> None:
    assert len(validate_instance({"items": {"type": "string"}}, list(range(1_000)))) == 100


@pytest.mark.parametrize("keyword", ["minItems", "minLength", "minProperties"])
def test_a_schema_cannot_ask_for_values_beyond_any_use(keyword: str) -> None:
    assert refused({"properties": {"x": {keyword: 10_001}}}) == [(f"/properties/x/{keyword}", "too_large")]
    assert refused({keyword: 1e300}) == [(f"/{keyword}", "too_large")]
    assert refused({keyword: 10_000}) == []


def test_items_that_nobody_has_looked_at_cannot_be_asked_for() -> None:
    assert refused({"contains": True, "unevaluatedItems": False}) == [("/unevaluatedItems", "unsupported_keyword")]


@pytest.mark.parametrize(
    "reading",
    [{"uniqueItems": True}, {"enum": [[[0] * 50_000]]}, {"const": [[0] * 50_000]}],
    ids=["uniqueItems", "enum", "const"],
)
def test_a_value_that_is_read_to_its_bottom_again_and_again_is_stopped(reading: Any) -> None:
    value = [[0] * 300_000]
    assert ("", "too_complex") not in found(reading, value)
    assert found({"allOf": [reading] * 20}, value) == [("", "too_complex")]


def test_long_texts_count_by_their_length() -> None:
    assert found({"allOf": [{"uniqueItems": True}] * 200}, ["x" * 1_000_000]) == [("", "too_complex")]
