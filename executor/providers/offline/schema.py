"""Reading a JSON Schema part by part, and bending a value until it fits one."""

import math
import re
from collections.abc import Mapping, Sequence

from executor.json_types import Json, JsonObject
from executor.providers.offline.effort import Effort

LONGEST_LIST = 20
LONGEST_CHAIN = 20

# Where the input holds nothing of that format: values that are plainly nobody's.
_FORMATS: Mapping[str, tuple[str, str]] = {
    "date": (r"\d{4}-\d\d-\d\d", "2000-01-01"),
    "date-time": (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", "2000-01-01T00:00:00Z"),
    "time": (r"\d\d:\d\d:\d\dZ", "00:00:00Z"),
    "email": (r"[\w.+-]+@[\w-]+\.[\w.]+\w", "nobody@example.invalid"),
    "uri": (r"https?://[^\s\"'<>]+", "https://example.invalid/"),
    "uuid": (r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "00000000-0000-0000-0000-000000000000"),
}


def resolve(schema: Json, root: JsonObject, effort: Effort) -> JsonObject:
    """The schema with its local `$ref` followed and its `allOf` merged; {} where there is nothing to read."""
    effort.spend_step()
    if not isinstance(schema, dict):
        return {}
    flat = dict(schema)
    for _ in range(LONGEST_CHAIN):
        reference = flat.pop("$ref", None)
        if not isinstance(reference, str):
            break
        flat = {**_follow(reference, root), **flat}
    parts = flat.pop("allOf", None)
    for part in parts if isinstance(parts, list) else []:
        flat = _merge(flat, resolve(part, root, effort) if part != schema else {})
    return flat


def enum_of(schema: JsonObject) -> list[Json]:
    options = schema.get("enum")
    return options if isinstance(options, list) else []


def alternatives_of(schema: JsonObject) -> list[Json]:
    for word in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(word), list):
            return options
    return []


def type_of(schema: JsonObject) -> str:
    named = schema.get("type")
    if isinstance(named, list):
        named = next((name for name in named if name != "null"), "null")
    if isinstance(named, str):
        return named
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def description_of(schema: JsonObject) -> str:
    return str(schema.get("description", ""))


def properties_of(schema: JsonObject) -> Mapping[str, Json]:
    """The properties, those that are only listed as required too."""
    named = schema.get("properties")
    properties = dict(named) if isinstance(named, dict) else {}
    return properties | {name: {} for name in required_of(schema) if name not in properties}


def required_of(schema: JsonObject) -> list[str]:
    named = schema.get("required")
    return [str(name) for name in named] if isinstance(named, list) else []


def items_of(schema: JsonObject) -> Json:
    return schema.get("items", {})


def length_bounds(schema: JsonObject) -> tuple[int, int]:
    """How many items a list has at least and at most."""
    low = int(_number(schema, "minItems", 0))
    return low, max(low, int(_number(schema, "maxItems", LONGEST_LIST)))


def fit(value: Json, schema: JsonObject, effort: Effort) -> Json:
    """The value, bent to the schema; None when it is not of the schema's type, or may be only one of a few values."""
    if "const" in schema or alternatives_of(schema):
        return None
    if enum_of(schema):
        return value if value in enum_of(schema) else None
    match type_of(schema), value:
        case "boolean", bool():
            return value
        case "string", str():
            return fit_text(value, schema, effort)
        case "integer" | "number" as kind, int() | float() if not isinstance(value, bool):
            return fit_number(value, schema, whole=kind == "integer")
        case _:
            return None


def fit_text(text: str, schema: JsonObject, effort: Effort) -> str:
    """The text in the schema's format and between its bounds on length."""
    if (wanted := _FORMATS.get(str(schema.get("format")))) is not None:
        pattern, nobodys = wanted
        found = re.search(pattern, text)
        text = found[0] if found else nobodys
    shortest, longest = int(_number(schema, "minLength", 0)), int(_number(schema, "maxLength", len(text)))
    text = _shorten(text, max(longest, shortest))
    effort.spend_characters(max(len(text), shortest))
    return text.ljust(shortest, ".")


def _shorten(text: str, longest: int) -> str:
    """The text up to its last whole word within the bound."""
    if len(text) <= longest:
        return text
    return text[: text.rfind(" ", 0, longest + 1)] if " " in text[: longest + 1].strip() else text[:longest]


def fit_number(value: float, schema: JsonObject, *, whole: bool) -> int | float:
    """The nearest number that the schema's bounds and steps allow."""
    low, high = _bounds(schema, whole=whole)
    value = min(max(value, low), high)
    if step := _number(schema, "multipleOf", 0):
        value = math.floor(value / step) * step
        value = value + step if value < low else value
    return round(value) if whole else value


def scale(share: float, schema: JsonObject) -> float:
    """A share from 0 to 1 on the schema's own scale, where it has one."""
    low, high = _bounds(schema, whole=False)
    if math.isinf(low) or math.isinf(high):
        return share
    return low + share * (high - low)


def _bounds(schema: JsonObject, *, whole: bool) -> tuple[float, float]:
    gap = 1.0 if whole else 1e-6
    low = max(_number(schema, "minimum", -math.inf), _number(schema, "exclusiveMinimum", -math.inf) + gap)
    high = min(_number(schema, "maximum", math.inf), _number(schema, "exclusiveMaximum", math.inf) - gap)
    return low, high


def _number(schema: JsonObject, word: str, default: float) -> float:
    value = schema.get(word)
    return default if isinstance(value, bool) or not isinstance(value, int | float) else float(value)


def _follow(reference: str, root: JsonObject) -> JsonObject:
    found: Json = root
    for step in reference.removeprefix("#").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _merge(one: JsonObject, other: JsonObject) -> JsonObject:
    merged = {**one, **other}
    left, right = one.get("properties"), other.get("properties")
    if isinstance(left, dict) and isinstance(right, dict):
        merged["properties"] = {**left, **right}
    required: Sequence[Json] = [*required_of(one), *required_of(other)]
    return merged | ({"required": list(required)} if required else {})
