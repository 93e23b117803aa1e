"""What an endpoint says of itself: an example that its schema allows, and calls that run as pasted."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from deployments.api.describing import calls_of, embed_schema
from deployments.api.example_inputs import MAX_NODES, _Maker, example_input
from deployments.tests.site_api import Deployed, SiteApi
from executor.json_schema import validate_instance
from executor.json_types import Json, JsonObject

SCHEMAS: list[dict[str, Any]] = [
    {"type": "object"},
    {
        "type": "object",
        "properties": {"a": {"type": "string", "minLength": 30}, "b": {"type": "integer", "minimum": 7}},
    },
    {"type": "object", "required": ["a"], "properties": {"a": {"enum": ["x", "y"]}}, "additionalProperties": False},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "minItems": 2, "items": {"const": 1}}}},
    {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"$ref": "#/$defs/d"}},
        "$defs": {"d": {"type": "number"}},
    },
    {"type": "object", "required": ["a"], "properties": {"a": {"type": ["null", "string"]}}},
    {"type": "object", "required": ["a"], "properties": {"a": {"anyOf": [{"type": "boolean"}, {"type": "string"}]}}},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}}},
    {
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}},
        "examples": [{"text": "mine"}],
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_an_example_is_one_that_the_schema_allows(schema: dict[str, Any]) -> None:
    example = example_input(schema)
    assert validate_instance(schema, example) == []
    assert set(schema.get("required", [])) <= set(example)


def test_the_schemas_own_example_comes_first() -> None:
    assert example_input(SCHEMAS[-1]) == {"text": "mine"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "^[0-9]{9}$"}}},
        {"$ref": "#/$defs/loop", "$defs": {"loop": {"properties": {"again": {"$ref": "#/$defs/loop"}}}}},
        {"type": "array"},
        {"not": {}},
    ],
    ids=json.dumps,
)
def test_where_none_can_be_made_there_is_still_an_object(schema: dict[str, Any]) -> None:
    assert isinstance(example_input(schema), dict)


def _count_nodes(value: Any) -> int:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(_count_nodes(member) for member in members)


def test_an_example_stays_small_whatever_the_schema_repeats() -> None:
    names = [f"p{number}" for number in range(31)]
    again: JsonObject = {"properties": {name: {"$ref": "#"} for name in names}}
    assert _count_nodes(example_input(again)) <= MAX_NODES
    assert _count_nodes(_Maker(again | {"required": [*names]}).make(again | {"required": [*names]}, 0)) <= MAX_NODES
    wide: JsonObject = {"properties": {f"p{number}": {"type": "null"} for number in range(5_000)}}
    assert _count_nodes(example_input(wide)) <= MAX_NODES


@pytest.mark.parametrize("least", [1e300, 1_000_000_000_000])
def test_an_example_text_is_never_as_long_as_a_schema_may_wish(least: float) -> None:
    made = _Maker({}).make({"type": "string", "minLength": least}, 0)
    assert isinstance(made, str)
    assert len(made) < 2_000


def test_only_the_first_few_of_the_schemas_own_examples_are_tried() -> None:
    wrong: list[Json] = [{"a": number} for number in range(3)]
    schema: JsonObject = {"properties": {"a": {"type": "string"}}, "examples": [*wrong, {"a": "fourth"}]}
    assert example_input(schema) != {"a": "fourth"}
    assert example_input(schema | {"examples": [*wrong[:2], {"a": "third"}]}) == {"a": "third"}


def test_an_embedded_schema_means_the_same_there() -> None:
    schema: Any = {
        "type": "object",
        "properties": {"items": {"items": {"$ref": "#/$defs/item"}}},
        "$defs": {"item": {"type": "integer"}},
    }
    document = {"components": {"schemas": {"Input": embed_schema(schema, "#/components/schemas/Input")}}}
    validator = OAS31Validator({"$ref": "#/components/schemas/Input", **document})
    assert validator.is_valid({"items": [1]})
    assert not validator.is_valid({"items": ["x"]})


def test_what_only_looks_like_a_reference_is_left_alone() -> None:
    data: Any = {"const": {"$ref": "#/x"}, "enum": [{"$ref": "#/x"}], "default": {"$ref": "#/x"}}
    assert embed_schema({"properties": {"$ref": data}}, "#/here") == {"properties": {"$ref": data}}


def test_text_with_quotes_does_not_break_out_of_the_calls() -> None:
    nasty: JsonObject = {"text": 'it\'s "quoted" `$(touch x)` ${y} \\ end\n'}
    calls = calls_of("http://localhost/api/deployed/x", nasty)
    compile(calls["python"], "call", "exec")
    echoed = calls["curl"].replace("curl -X POST", "printf '%s\\n'", 1)
    shell = subprocess.run(["sh", "-c", echoed], capture_output=True, text=True, env={}, check=True)  # noqa: S603, S607 - the promise under test
    assert json.dumps(nasty) in shell.stdout


def test_the_python_call_runs_as_pasted(api: SiteApi, endpoint: Deployed) -> None:
    description = api.http.get(endpoint.path).json()
    key = api.http.headers["Authorization"].removeprefix("Bearer ")
    ran = subprocess.run(  # noqa: S603 - the promise under test
        [sys.executable, "-c", description["calls"]["python"]],
        capture_output=True,
        text=True,
        check=False,
        env={"API_KEY": key},
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == endpoint.call(description["example"]).json()["result"]


@pytest.mark.parametrize("program", ["curl", "node"])
def test_the_curl_and_javascript_calls_run_as_pasted(api: SiteApi, endpoint: Deployed, program: str) -> None:
    path = shutil.which(program)
    description = api.http.get(endpoint.path).json()
    key = api.http.headers["Authorization"].removeprefix("Bearer ")
    if path is None:
        # Without the program its call is at least held to say what it must.
        call = description["calls"]["curl" if program == "curl" else "javascript"]
        assert description["url"] in call
        return
    command = (
        ["sh", "-c", description["calls"]["curl"].replace("curl ", f"{path} -sS ", 1)]
        if program == "curl"
        else [path, "--input-type=module", "-e", description["calls"]["javascript"]]
    )
    ran = subprocess.run(  # noqa: S603 - as above
        command, capture_output=True, text=True, check=False, env={"API_KEY": key, "PATH": "/usr/bin:/bin"}
    )
    assert ran.returncode == 0, ran.stderr
    assert "text" in ran.stdout
