"""An input that a schema allows, for people to start from."""

from typing import Any

from executor.json_schema import validate_instance
from executor.json_types import Json, JsonObject

MAX_DEPTH = 8

_TEXT_OF_FORMAT = {
    "date": "2025-01-31",
    "date-time": "2025-01-31T09:00:00Z",
    "email": "ann@example.com",
    "time": "09:00:00Z",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_input(schema: JsonObject | None) -> JsonObject:
    """The schema's own example, else one made from it; an empty object where neither is allowed by the schema."""
    if schema is None:
        return {}
    for example in (*_given(schema), _make(schema, schema, 0)):
        if isinstance(example, dict) and not validate_instance(schema, example):
            return example
    return {}


def _given(schema: JsonObject) -> list[Json]:
    """What the schema says itself."""
    examples = schema.get("examples")
    given: list[Json] = list(examples) if isinstance(examples, list) else []
    return given + [schema[name] for name in ("default", "const") if name in schema]


def _make(schema: Any, root: JsonObject, depth: int) -> Json:
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    if given := _given(schema):
        return given[0]
    if isinstance(choices := schema.get("enum"), list) and choices:
        return choices[0]  # type: ignore[no-any-return] # a JSON value
    if isinstance(reference := schema.get("$ref"), str):
        return _make(_follow(reference, root), root, depth + 1)
    for keyword in ("oneOf", "anyOf", "allOf"):
        if isinstance(options := schema.get(keyword), list) and options and "properties" not in schema:
            return _make(options[0], root, depth + 1)
    return _make_of_type(schema, root, depth)


def _make_of_type(schema: dict[str, Any], root: JsonObject, depth: int) -> Json:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        members = schema.get("properties", {})
        return {name: _make(member, root, depth + 1) for name, member in members.items()}
    if kind == "array":
        wanted = max(1, int(schema.get("minItems", 1)))
        return [_make(schema.get("items", {}), root, depth + 1) for _ in range(min(wanted, 20))]
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    return {"boolean": True, "null": None}.get(kind, _text(schema))


def _number(schema: dict[str, Any], *, whole: bool) -> Json:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value = low + 1 if low is not None and "exclusiveMinimum" in schema else low
    if value is None:
        value = high - 1 if high is not None and high <= 1 else 1
    return int(value) if whole else value


def _text(schema: dict[str, Any]) -> str:
    text = _TEXT_OF_FORMAT.get(str(schema.get("format")), str(schema.get("title") or "text"))
    shortest, longest = int(schema.get("minLength", 0)), int(schema.get("maxLength", len(text) + 1_000))
    return (text + " text" * (shortest // 5 + 1) if len(text) < shortest else text)[:longest]


def _follow(reference: str, root: JsonObject) -> Json:
    found: Any = root
    for step in reference.removeprefix("#/").split("/") if reference != "#" else ():
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found  # type: ignore[no-any-return] # a part of a JSON document
