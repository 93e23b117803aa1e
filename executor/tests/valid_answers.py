"""Answers that satisfy a schema and mean nothing: a model that is right in form only."""

import random

from executor.json_types import Json, JsonObject

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "alpha beta", "Gamma.")


def any_valid_answer(schema: JsonObject, seed: str) -> Json:
    """Some value of the schema, the same one for the same seed. For the schemas that patterns write."""
    return _value(schema, schema, random.Random(seed))


def _value(schema: JsonObject, root: JsonObject, draw: random.Random) -> Json:
    schema = _resolve(schema, root)
    if "const" in schema:
        return schema["const"]
    if isinstance(options := schema.get("enum"), list):
        return draw.choice(options)
    if isinstance(options := schema.get("anyOf") or schema.get("oneOf"), list):
        return _value(_object(draw.choice(options)), root, draw)
    match schema.get("type"):
        case "object":
            return _members(schema, root, draw)
        case "array":
            return _items(schema, root, draw)
        case "boolean":
            return draw.random() < 0.5
        case "integer":
            return draw.randint(int(_number(schema, "minimum", 0)), int(_number(schema, "maximum", 5)))
        case "number":
            return round(draw.uniform(_number(schema, "minimum", 0), _number(schema, "maximum", 1)), 2)
        case "string":
            return draw.choice(WORDS)
        case _:
            return None


def _members(schema: JsonObject, root: JsonObject, draw: random.Random) -> JsonObject:
    required = schema.get("required", [])
    assert isinstance(required, list)
    properties = _object(schema.get("properties", {}))
    chosen = [name for name in properties if name in required or draw.random() < 0.5]
    return {name: _value(_object(properties[name]), root, draw) for name in chosen}


def _items(schema: JsonObject, root: JsonObject, draw: random.Random) -> list[Json]:
    fewest = int(_number(schema, "minItems", 0))
    most = int(min(_number(schema, "maxItems", fewest + 3), fewest + 3))
    items = _object(schema.get("items", {}))
    length = draw.choice([fewest, draw.randint(fewest, most)])
    return [_value(items, root, draw) for _ in range(length)]


def _resolve(schema: JsonObject, root: JsonObject) -> JsonObject:
    if not isinstance(reference := schema.get("$ref"), str):
        return schema
    found: Json = root
    for name in reference.removeprefix("#/").split("/"):
        found = _object(found)[name]
    return _object(found)


def _number(schema: JsonObject, key: str, default: float) -> float:
    value = schema.get(key, default)
    assert isinstance(value, int | float)
    return value


def _object(value: Json) -> JsonObject:
    assert isinstance(value, dict)
    return value
