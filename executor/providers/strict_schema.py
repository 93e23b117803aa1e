"""OpenAI's strict mode, in which an answer is held to its schema while it is written: for schemas that qualify."""

import json
import re
from typing import Any

from executor.json_types import JsonObject

KEYWORDS = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "type",
    }
)
SAY_NOTHING = frozenset({"$schema", "$comment", "title", "examples"})
FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
DEFINITION = re.compile(r"#(/\$defs/[^/]+)?")
# Below OpenAI's own limits: 10 levels, 5,000 properties, 1,000 values of enums, 120,000 characters of names.
MAX_DEPTH = 10
MAX_BYTES = 15_000
MAX_VALUES = 500


class _DoesNotQualify(Exception):
    """Strict mode does not know something in the schema."""


def make_strict(schema: JsonObject) -> JsonObject | None:
    """The schema as strict mode wants it, None where it cannot say the same.

    An object that says nothing of other properties is closed: what is then written satisfies the original too.
    """
    if "anyOf" in schema or "$ref" in schema or len(json.dumps(schema)) > MAX_BYTES:
        return None
    try:
        return _convert(schema, 0)
    except _DoesNotQualify:
        return None


def _convert(schema: Any, depth: int) -> JsonObject:
    _require(isinstance(schema, dict) and depth <= MAX_DEPTH)
    result: dict[str, Any] = {key: value for key, value in schema.items() if key not in SAY_NOTHING}
    _require(KEYWORDS.issuperset(result))
    if "$ref" in result:
        _require(len(result) == 1 and DEFINITION.fullmatch(result["$ref"]) is not None)
        return result
    _require(any(key in result for key in ("type", "anyOf", "enum", "const")))
    _require("(?" not in result.get("pattern", "") and result.get("format", "date") in FORMATS)
    _require(len(result.get("enum", ())) <= MAX_VALUES)
    types = result.get("type", ())
    if "properties" in result or "object" in types:
        _close(result, depth)
    if "items" in result or "array" in types:
        result["items"] = _convert(result.get("items"), depth + 1)
    if "anyOf" in result:
        result["anyOf"] = [_convert(member, depth) for member in result["anyOf"]]
    if "$defs" in result:
        result["$defs"] = {name: _convert(member, 0) for name, member in result["$defs"].items()}
    return result


def _close(result: dict[str, Any], depth: int) -> None:
    properties = result.get("properties", {})
    _require(result.get("additionalProperties", False) is False)
    _require(set(properties) == set(result.get("required", ())))
    result["properties"] = {name: _convert(member, depth + 1) for name, member in properties.items()}
    result["required"] = list(properties)
    result["additionalProperties"] = False


def _require(holds: bool) -> None:  # noqa: FBT001 - an assertion
    if not holds:
        raise _DoesNotQualify
