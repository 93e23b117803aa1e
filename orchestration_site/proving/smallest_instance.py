"""The smallest JSON value that satisfies a JSON Schema, for the schemas that agents and patterns write."""

import math
from typing import cast

from executor.json_types import Json, JsonObject


def smallest_instance(schema: JsonObject) -> Json:
    """A value of `schema`: required properties only, first enum value, shortest arrays and strings.

    Follows local `$ref`, merges `allOf`, takes the first of `anyOf` and `oneOf`. Does not solve `pattern` or `not`.
    Raises `KeyError` for a `$ref` that leads nowhere.
    """
    return _instance(schema, schema)


def _instance(schema: Json, root: JsonObject) -> Json:
    if not isinstance(schema, dict):
        return None
    schema = _flatten(schema, root)
    if "const" in schema:
        return schema["const"]
    if isinstance(options := schema.get("enum"), list):
        return options[0]
    for word in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(word), list):
            return _instance(options[0], root)
    return _of_type(_type_of(schema), schema, root)


def _flatten(schema: JsonObject, root: JsonObject) -> JsonObject:
    flat = dict(schema)
    if isinstance(reference := flat.pop("$ref", None), str):
        flat = {**_flatten(_follow(reference, root), root), **flat}
    parts = flat.pop("allOf", None)
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict):
            flat = _merge(flat, _flatten(part, root))
    return flat


def _follow(reference: str, root: JsonObject) -> JsonObject:
    found: Json = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = cast(JsonObject, found)[step.replace("~1", "/").replace("~0", "~")]
    return cast(JsonObject, found)


def _merge(one: JsonObject, other: JsonObject) -> JsonObject:
    merged = {**one, **other}
    for word in ("properties", "required"):
        left, right = one.get(word), other.get(word)
        if isinstance(left, dict) and isinstance(right, dict):
            merged[word] = {**left, **right}
        if isinstance(left, list) and isinstance(right, list):
            merged[word] = left + right
    return merged


def _type_of(schema: JsonObject) -> str:
    named = schema.get("type")
    if isinstance(named, list):
        named = named[0]
    if isinstance(named, str):
        return named
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _of_type(named: str, schema: JsonObject, root: JsonObject) -> Json:
    match named:
        case "object":
            return _object(schema, root)
        case "array":
            return _array(schema, root)
        case "string":
            return "x" * int(_number(schema, "minLength", 0.0))
        case "integer" | "number":
            return _smallest_number(schema, whole=named == "integer")
        case "boolean":
            return False
        case _:
            return None


def _object(schema: JsonObject, root: JsonObject) -> JsonObject:
    properties, required = schema.get("properties"), schema.get("required")
    known = properties if isinstance(properties, dict) else {}
    names = required if isinstance(required, list) else []
    return {str(name): _instance(known.get(str(name), {}), root) for name in names}


def _array(schema: JsonObject, root: JsonObject) -> list[Json]:
    prefix = schema.get("prefixItems")
    values: list[Json] = [_instance(item, root) for item in prefix] if isinstance(prefix, list) else []
    wanted = int(_number(schema, "minItems", 0.0))
    items = schema.get("items")
    options = _flatten(items, root).get("enum") if isinstance(items, dict) else None
    if schema.get("uniqueItems") and isinstance(options, list):
        return options[:wanted]
    while len(values) < wanted:
        values.append(_instance(items, root))
    return values


def _smallest_number(schema: JsonObject, *, whole: bool) -> int | float:
    low = _number(schema, "minimum", -math.inf)
    above = _number(schema, "exclusiveMinimum", -math.inf)
    high = min(_number(schema, "maximum", math.inf), _number(schema, "exclusiveMaximum", math.inf))
    value = max(low, above, min(0.0, high))
    if value == above:
        value = math.floor(value) + 1 if whole or math.isinf(high) else (value + high) / 2
    if value == _number(schema, "exclusiveMaximum", math.inf):
        value = value - 1 if whole or math.isinf(low) else (value + low) / 2
    if step := _number(schema, "multipleOf", 0.0):
        value = math.ceil(value / step) * step
    return math.ceil(value) if whole or float(value).is_integer() else value


def _number(schema: JsonObject, word: str, default: float) -> float:
    value = schema.get(word)
    return default if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
