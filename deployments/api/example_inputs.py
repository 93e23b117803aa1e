"""An input that a schema allows, for people to start from."""

from typing import Any

from executor.json_schema import validate_instance
from executor.json_types import Json, JsonObject

MAX_DEPTH = 8
#: What one example may cost: the page is made beside the executions, from a schema that anyone may have written.
MAX_NODES = 300
MAX_GIVEN = 3
LONGEST_TEXT = 1_000
#: From here on down, objects hold only what they must.
FULL_DEPTH = 2

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
    for example in (*_given(schema), _Maker(schema).make(schema, 0)):
        if isinstance(example, dict) and not validate_instance(schema, example):
            return example
    return {}


def _given(schema: JsonObject) -> list[Json]:
    """What the schema says itself."""
    examples = schema.get("examples")
    given: list[Json] = examples[:MAX_GIVEN] if isinstance(examples, list) else []
    return given + [schema[name] for name in ("default", "const") if name in schema]


class _Maker:
    """Makes one value for one schema, of `MAX_NODES` at most; what would come after them is left out or null."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._left = MAX_NODES

    def make(self, schema: Any, depth: int) -> Json:
        self._left -= 1
        if not isinstance(schema, dict) or depth > MAX_DEPTH or self._left < 0:
            return None
        if given := _given(schema):
            return given[0]
        if isinstance(choices := schema.get("enum"), list) and choices:
            return choices[0]  # type: ignore[no-any-return] # a JSON value
        if isinstance(reference := schema.get("$ref"), str):
            return self.make(_follow(reference, self._root), depth + 1)
        for keyword in ("oneOf", "anyOf", "allOf"):
            if isinstance(options := schema.get(keyword), list) and options and "properties" not in schema:
                return self.make(options[0], depth + 1)
        return self._make_of_type(schema, depth)

    def _make_of_type(self, schema: dict[str, Any], depth: int) -> Json:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            wanted = max(1, int(schema.get("minItems", 1)))
            return [self.make(schema.get("items", {}), depth + 1) for _ in range(min(wanted, 20))]
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer")
        return {"boolean": True, "null": None}.get(kind, _text(schema))

    def _object(self, schema: dict[str, Any], depth: int) -> JsonObject:
        members = schema.get("properties", {})
        if depth >= FULL_DEPTH:
            members = {name: members[name] for name in schema.get("required", []) if name in members}
        made: JsonObject = {}
        for name, member in members.items():
            if self._left <= 0:
                break
            made[name] = self.make(member, depth + 1)
        return made


def _number(schema: dict[str, Any], *, whole: bool) -> Json:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value = low + 1 if low is not None and "exclusiveMinimum" in schema else low
    if value is None:
        value = high - 1 if high is not None and high <= 1 else 1
    return int(value) if whole else value


def _text(schema: dict[str, Any]) -> str:
    text = _TEXT_OF_FORMAT.get(str(schema.get("format")), str(schema.get("title") or "text")[:LONGEST_TEXT])
    shortest = min(int(schema.get("minLength", 0)), LONGEST_TEXT)
    longest = int(schema.get("maxLength", len(text) + 1_000))
    return (text + " text" * (shortest // 5 + 1) if len(text) < shortest else text)[:longest]


def _follow(reference: str, root: JsonObject) -> Json:
    found: Any = root
    for step in reference.removeprefix("#/").split("/") if reference != "#" else ():
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found  # type: ignore[no-any-return] # a part of a JSON document
