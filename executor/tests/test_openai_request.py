"""What OpenAI itself is asked in another way than servers that are only like it."""

import json
from typing import Any

import pytest

from executor.providers.contract import Message, ModelRequest
from executor.providers.openai_request import OPENAI_HOST, write_body
from executor.providers.strict_schema import make_strict
from executor.spec import AgentSettings


def body_for(host: str, model: str = "gpt-4o", schema: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    request = ModelRequest("", (Message("user", "Hello"),), AgentSettings(**settings), schema)
    body: dict[str, Any] = json.loads(write_body(model, request, host=host, streamed=False))
    return body


def closed(**properties: Any) -> dict[str, Any]:
    """A schema that strict mode takes as it is."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}


def test_openai_is_given_the_name_that_its_newer_models_insist_on() -> None:
    assert body_for(OPENAI_HOST, max_output_tokens=5)["max_completion_tokens"] == 5
    assert body_for("example.org", max_output_tokens=5)["max_tokens"] == 5
    assert "max_tokens" not in body_for(OPENAI_HOST)


@pytest.mark.parametrize(
    "model", ["o1", "o3-mini", "gpt-5", "gpt-5-mini-2025-08-07", "gpt-5-pro", "gpt-5.2-pro", "gpt-5.5", "gpt-6-sol"]
)
def test_models_that_reason_are_spared_the_settings_that_they_refuse(model: str) -> None:
    assert not {"temperature", "top_p"} & set(body_for(OPENAI_HOST, model, temperature=0.5, top_p=0.5))
    assert body_for("example.org", model, temperature=0.5)["temperature"] == 0.5


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "gpt-5.1", "gpt-5.4-mini", "omni"])
def test_other_models_are_given_them(model: str) -> None:
    body = body_for(OPENAI_HOST, model, temperature=0.5, top_p=0.25)
    assert (body["temperature"], body["top_p"]) == (0.5, 0.25)


def test_a_schema_that_qualifies_goes_to_openai_in_strict_mode() -> None:
    schema = closed(note=TEXT)
    described = {"name": "answer", "schema": schema, "strict": True}
    assert body_for(OPENAI_HOST, schema=schema)["response_format"]["json_schema"] == described
    assert "strict" not in body_for("example.org", schema=schema)["response_format"]["json_schema"]


def test_a_schema_that_does_not_qualify_goes_out_as_it_was_written() -> None:
    schema = {"type": "object", "properties": {"note": TEXT}}
    described = {"name": "answer", "schema": schema, "strict": False}
    assert body_for(OPENAI_HOST, schema=schema)["response_format"]["json_schema"] == described


@pytest.mark.parametrize(
    "schema",
    [
        closed(note=TEXT),
        closed(),
        closed(score={"type": ["number", "null"], "minimum": 0, "maximum": 9}, kind={"enum": ["a", "b"]}),
        closed(inner=closed(note={"type": "string", "format": "date", "description": "When."})),
        closed(items={"type": "array", "items": closed(note=TEXT), "minItems": 1}),
        closed(either={"anyOf": [TEXT, {"type": "null"}]}),
        closed(node={"$ref": "#/$defs/node"}) | {"$defs": {"node": closed(next={"$ref": "#/$defs/node"})}},
    ],
)
def test_strict_mode_is_given_what_it_takes_as_it_is(schema: dict[str, Any]) -> None:
    assert make_strict(schema) == schema


def test_titles_are_left_out_and_open_objects_closed() -> None:
    schema: dict[str, Any] = {
        "title": "Verdict",
        "type": "object",
        "properties": {"note": {"title": "Note", "type": "string"}},
        "required": ["note"],
    }
    before = json.dumps(schema)
    assert make_strict(schema) == closed(note=TEXT)
    assert json.dumps(schema) == before


@pytest.mark.parametrize(
    "schema",
    [
        closed(note=TEXT) | {"required": []},
        closed(note=TEXT) | {"required": ["note", "other"]},
        closed(note=TEXT) | {"additionalProperties": True},
        closed(note=TEXT) | {"additionalProperties": TEXT},
        closed(note=TEXT) | {"minProperties": 1},
        closed(note=TEXT) | {"anyOf": [{"required": ["note"]}]},
        closed(note={"type": "string", "default": "x"}),
        closed(note={"type": "string", "format": "uri"}),
        closed(note={"type": "string", "pattern": "(?=a)"}),
        closed(note={}),
        closed(note=True),
        closed(note={"oneOf": [TEXT]}),
        closed(items={"type": "array"}),
        closed(items={"type": "array", "items": {}}),
        closed(items={"type": "array", "prefixItems": [TEXT]}),
        closed(inner={"type": "object"} | {"properties": {"note": TEXT}}),
        closed(other={"$ref": "#/properties/note"}, note=TEXT),
        closed(other={"$ref": "#/$defs/x", "description": "With a sibling."}) | {"$defs": {"x": TEXT}},
        closed(kind={"enum": [str(number) for number in range(1_000)]}),
        closed(**{f"property-{number}": TEXT for number in range(1_000)}),
    ],
    ids=range(20),
)
def test_strict_mode_is_not_asked_for_what_it_does_not_know(schema: dict[str, Any]) -> None:
    assert make_strict(schema) is None


def test_strict_mode_is_not_asked_for_objects_beyond_its_depth() -> None:
    schema = closed(note=TEXT)
    for _ in range(12):
        schema = closed(inner=schema)
    assert make_strict(schema) is None
