"""What a stranger's schema may cost: while it is checked, while values are held against it, and in what is said."""

import json
import tracemalloc
from typing import Any

import pytest

from executor.json_schema import validate_instance
from executor.schema_check import (
    MAX_PATTERN_STEPS_OF_DESIGN,
    MAX_PLACES,
    MAX_PLACES_OF_DESIGN,
    SchemaAllowance,
    check_schema,
)
from executor.schema_places import SchemaPlaces
from executor.schema_validator import LONGEST_SHOWN, MAX_WORK, compile_pattern, work_left
from executor.tests.builders import make_agent, make_block, make_design
from executor.tests.test_validation import found as problems_of

#: A sentence around what is shown of a value.
LONGEST_MESSAGE = LONGEST_SHOWN + 150
MEGABYTE = 1_000_000


def refused(schema: Any, allowance: SchemaAllowance | None = None) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in check_schema(schema, allowance)]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {f"p{number}": {} for number in range(MAX_PLACES)}},
        {"allOf": [{}] * MAX_PLACES},
        {"$defs": {str(number): True for number in range(MAX_PLACES)}},
    ],
    ids=["properties", "allOf", "defs"],
)
def test_a_schema_holds_so_many_schemas_at_most(schema: Any) -> None:
    assert refused(schema) == [("", "too_large")]


def test_the_largest_schema_allowed_is_checked_whole() -> None:
    properties: dict[str, Any] = {f"p{number}": {"type": "string"} for number in range(MAX_PLACES - 2)}
    assert refused({"properties": properties}) == []
    assert refused({"properties": {**properties, "last": {"type": "nothing"}}}) == [
        ("/properties/last/type", "invalid_schema")
    ]


def test_a_long_name_is_not_kept_for_each_schema_below_it() -> None:
    below = {str(number): True for number in range(MAX_PLACES - 3)}
    schema: Any = {"properties": {"x" * 100_000: {"properties": below}}}
    tracemalloc.start()
    try:
        SchemaPlaces(schema, at_most=MAX_PLACES)
        assert tracemalloc.get_traced_memory()[1] < 10 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert refused(schema) == []


def test_a_place_too_long_to_name_is_named_by_what_is_above_it() -> None:
    wrong: Any = {"properties": {"a": {"properties": {"x" * 100_000: {"type": "nothing", "$anchor": "y"}}}}}
    assert set(refused(wrong)) == {
        ("/properties/a/properties", "invalid_schema"),
        ("/properties/a/properties", "unsupported_keyword"),
    }
    [problem] = validate_instance({"additionalProperties": {"type": "string"}}, {"x" * 100_000: 1})
    assert problem.pointer == ""


def test_a_long_list_of_types_is_refused_without_an_error_for_each() -> None:
    """Within the bytes of a schema; the validator would take 60 MB and most of a second for what it says of them."""
    tracemalloc.start()
    try:
        assert refused({"items": {"type": ["strin"] * 20_000}}) == [("/items/type", "invalid_schema")]
        assert tracemalloc.get_traced_memory()[1] < 10 * MEGABYTE
    finally:
        tracemalloc.stop()
    every = ["null", "boolean", "integer", "number", "string", "array", "object"]
    assert refused({"type": every}) == []
    assert refused({"type": [*every, "null"]}) == [("/type", "invalid_schema")]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"properties": {f"p{number}": {} for number in range(10_000)}}, [("", "too_large")]),
        ({"enum": [f"value {number}" for number in range(20_000)]}, [("", "too_large")]),
        ({"enum": list(range(5_000))}, []),
        ({"patternProperties": {f"^(a+)+{number}$": True for number in range(1_000)}}, []),
        (
            {"$ref": "#/$defs/a0", "$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(2_000)}},
            [("/$defs/a1999/$ref", "unknown_reference")],
        ),
    ],
    ids=["10,000 properties", "an enum beyond the bytes", "an enum within them", "1,000 patterns", "2,000 $refs deep"],
)
def test_what_is_very_large_takes_little_and_is_refused_in_words_or_used(
    schema: Any, expected: list[tuple[str, str]]
) -> None:
    tracemalloc.start()
    try:
        assert refused(schema) == expected
        if not expected:
            validate_instance(schema, "a" * 10_000)
            validate_instance(schema, {"a" * 10_000: 1})
        assert tracemalloc.get_traced_memory()[1] < 20 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_a_pattern_that_nests_repetitions_takes_steps_in_proportion_to_the_text() -> None:
    """With a backtracking engine each further character doubles them."""
    costs = [_work_of({"pattern": "^(a+)+$"}, "a" * length + "!") for length in (25_000, 50_000, 100_000)]
    assert costs[1] - costs[0] <= costs[2] - costs[1] <= 2 * (costs[1] - costs[0]) + 10
    assert costs[2] < 100_000


def _work_of(schema: Any, value: Any) -> int:
    """What the validation has used of what it may."""
    validate_instance(schema, value)
    return MAX_WORK - work_left()


def test_at_most_a_hundred_reasons_are_given() -> None:
    assert len(check_schema({"properties": {str(number): {"$anchor": "x"} for number in range(1_000)}})) == 100


def test_all_schemas_of_a_design_together_hold_so_many_at_most() -> None:
    allowance = SchemaAllowance()
    for number in range(MAX_PLACES_OF_DESIGN // 1_000):
        assert refused({"title": str(number), "allOf": [{}] * 999}, allowance) == []
    assert refused({}, allowance) == [("", "too_large")]


def test_the_schemas_of_a_design_share_what_they_may_come_to_and_the_same_one_counts_once() -> None:
    def design_with(titles: list[str]) -> Any:
        schemas = [{"type": "object", "title": title, "allOf": [{}] * (MAX_PLACES - 1)} for title in titles]
        agents = [make_agent(f"a{number}", output_schema=schema) for number, schema in enumerate(schemas)]
        return make_design([make_block("a", agents=agents)])

    last = "/blocks/0/data/agents/4/output_schema"
    assert (last, "too_large") in problems_of(design_with(["1", "2", "3", "4", "5"]))
    assert (last, "too_large") not in problems_of(design_with(["same"] * 5))
    with_input = design_with(["1", "2", "3", "4"]).model_copy(update={"input_schema": {"type": "object"}})
    assert ("/blocks/0/data/agents/3/output_schema", "too_large") in problems_of(with_input)


def test_the_patterns_of_a_design_come_to_so_much_at_most() -> None:
    large = r"\pL{20}"
    steps = compile_pattern(large).programsize
    names = [f"{large}{number}" for number in range(MAX_PATTERN_STEPS_OF_DESIGN // steps + 2)]
    codes = [code for _, code in refused({"patternProperties": dict.fromkeys(names, True)})]
    assert codes
    assert set(codes) == {"too_large"}
    allowance = SchemaAllowance()
    for name in names:
        check_schema({"pattern": name}, allowance)
    assert refused({"pattern": "a"}, allowance) == [("/pattern", "too_large")]


def test_a_pattern_that_would_take_too_much_memory_is_refused_and_what_to_write_instead_is_said() -> None:
    [problem] = check_schema({"pattern": r"\pL{60}"})
    assert problem.code == "invalid_pattern"
    assert "maxLength" in problem.message


def test_patterns_that_cannot_run_use_up_what_a_design_may_come_to() -> None:
    names = [rf"\pL{{900}}{number}" for number in range(60)]
    assert {"too_large", "invalid_pattern"} == {
        code for _, code in refused({"patternProperties": dict.fromkeys(names, True)})
    }


def test_matching_patterns_is_counted_as_work() -> None:
    costly = r"(?:a|b)*a(?:a|b){500}c"
    assert check_schema({"pattern": costly}) == []
    [problem] = validate_instance({"allOf": [{"pattern": costly}] * 200}, "ab" * 200_000)
    assert problem.code == "too_complex"
    ordinary: Any = {"items": {"pattern": r"^[\w.+-]+@[\w-]+\.[\w.]+$"}}
    assert validate_instance(ordinary, ["somebody@example.org"] * 10_000) == []


def test_a_design_of_many_names_and_patterns_is_checked_in_bounded_work() -> None:
    costly = r"(?:a|b)*a(?:a|b){500}c"
    schema: dict[str, Any] = {"type": "object", "patternProperties": {f"{costly}{n}": {} for n in range(200)}}
    schema["additionalProperties"] = False
    task = "{{input." + "ab" * 90_000 + "}}"
    design = make_design([make_block("a", task=task)]).model_copy(update={"input_schema": schema})
    assert problems_of(design) == [], "in doubt, the name may exist"
    assert problems_of(
        make_design([make_block("a", task="{{input.short}}")]).model_copy(update={"input_schema": schema})
    )


HUGE = "x" * MEGABYTE


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"not": {"type": "string"}}, HUGE),
        ({"anyOf": [{"type": "integer"}, {"not": {}}]}, HUGE),
        ({"anyOf": [False, {"minLength": 2_000_000}]}, HUGE),
        ({"properties": {"a": False}}, {"a": HUGE}),
        ({"const": HUGE}, 1),
        ({"enum": [HUGE, HUGE]}, 1),
        ({"contains": {"type": "null"}}, [HUGE]),
        ({"pattern": "^y"}, HUGE),
        ({"dependentRequired": {HUGE: ["b"]}}, {HUGE: 1}),
        ({"propertyNames": {"maxLength": 3}}, {HUGE: 1}),
        ({"required": [HUGE]}, {}),
        ({"additionalProperties": False}, {HUGE: 1}),
        ({"if": {}, "then": False}, HUGE),
        ({"items": False}, [HUGE]),
        ({"prefixItems": [True], "items": False}, [1, HUGE]),
    ],
    ids=lambda case: f"{case!s:.20}",
)
def test_what_is_said_of_a_value_holds_little_of_it(schema: Any, value: Any) -> None:
    problems = validate_instance(schema, value)
    assert problems
    for problem in problems:
        assert len(problem.message) < LONGEST_MESSAGE
        assert len(problem.pointer) < LONGEST_MESSAGE


def test_a_schema_that_is_false_says_so() -> None:
    [problem] = validate_instance({"properties": {"a": False}}, {"a": 1})
    assert (problem.pointer, problem.message) == ("/a", "This value is not allowed here.")
    assert (
        validate_instance({"additionalProperties": False}, {"a": 1})[0].message == "This value is not a known property."
    )
    assert validate_instance({"properties": {"a": False}, "not": False, "allOf": [True]}, {"b": 1}) == []
    assert validate_instance({"$ref": "#/$defs/no", "$defs": {"no": False}}, 1)[0].message.endswith("not allowed here.")


@pytest.mark.parametrize(
    "alternatives",
    [
        [{"type": "integer"}] * 400,
        [False] * 400,
        [{"not": False, "type": "integer"}] * 200,
        [{"not": True}] * 400,
    ],
    ids=["types", "false", "not false", "not true"],
)
def test_alternatives_do_not_each_keep_a_copy_of_the_value(alternatives: list[Any]) -> None:
    tracemalloc.start()
    try:
        problems = validate_instance({"anyOf": alternatives}, HUGE)
        assert tracemalloc.get_traced_memory()[1] < 50 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert [problem.code for problem in problems] in (["anyOf"], ["too_complex"])


@pytest.mark.parametrize(
    "schema",
    [
        {"items": {"anyOf": [{"type": "string"}] * 300}},
        {"contains": {}, "anyOf": [{"items": {"anyOf": [{"type": "string"}] * 300}}]},
    ],
    ids=["of each item", "of all items at once"],
)
def test_many_errors_of_alternatives_are_not_all_kept(schema: Any) -> None:
    tracemalloc.start()
    try:
        problems = validate_instance(schema, list(range(100)))
        assert tracemalloc.get_traced_memory()[1] < 30 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert {problem.code for problem in problems} == {"anyOf"}


def test_ordinary_alternatives_over_long_lists_are_checked_whole() -> None:
    kinds: list[Any] = [
        {"type": "object", "required": ["kind"], "properties": {"kind": {"const": number}}} for number in range(10)
    ]
    value = [{"kind": number % 10} for number in range(2_000)]
    assert validate_instance({"items": {"oneOf": kinds}}, json.loads(json.dumps(value))) == []
