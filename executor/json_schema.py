"""JSON Schema (2020-12), in the one place where the engine checks schemas and values against them.

Schemas come from strangers: a schema is refused here when the engine could not check values against it safely.
"""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import unquote

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from executor.errors import Problem
from executor.json_types import Json, JsonObject
from executor.pointers import pointer_to
from executor.schema_validator import EMPTY_REGISTRY, OWN_KEYWORDS, TooMuchWork, compile_pattern, iterate_errors

MAX_PROBLEMS = 100
MAX_SCHEMA_BYTES = 200_000
#: Nesting of the schema's own JSON.
MAX_SCHEMA_DEPTH = 60
#: What a schema may ask for at least: items, properties, characters.
MAX_LEAST = 10_000

_META_VALIDATOR = Draft202012Validator(Draft202012Validator.META_SCHEMA, registry=EMPTY_REGISTRY)


def validate_instance(schema: JsonObject, value: Json) -> list[Problem]:
    """Every way in which the value breaks the schema (at most 100), with pointers into the value.

    The schema is one that `check_schema` has let through, or one of our own.
    """
    try:
        errors = list(islice(iterate_errors(schema, value), MAX_PROBLEMS))
    except TooMuchWork:
        return [Problem("", "too_complex", "Checking this value against its schema takes too long; simplify either.")]
    except RecursionError:
        return [Problem("", "too_deep", "This value is nested too deeply for its schema.")]
    return [_as_problem(error) for error in errors]


def check_schema(schema: Json) -> list[Problem]:
    """Every reason why the engine cannot use the schema, with pointers into it."""
    if not isinstance(schema, dict):
        return [Problem("", "invalid_schema", "A schema has to be a JSON object.")]
    if (oversize := _find_oversize(schema)) is not None:
        return [oversize]
    subschemas = dict(_walk_subschemas(schema))
    problems = _find_meta_problems(schema)
    for pointer, subschema in subschemas.items():
        problems += _find_unsupported(pointer, subschema)
        problems += _find_large_minimums(pointer, subschema)
        problems += _find_bad_patterns(pointer, subschema)
        problems += _find_bad_references(pointer, subschema, subschemas)
    if not problems:
        problems += _find_endless_reference(subschemas)
    return problems


def _find_oversize(schema: JsonObject) -> Problem | None:
    stack: list[tuple[Any, int]] = [(schema, 1)]
    while stack:
        value, depth = stack.pop()
        if depth > MAX_SCHEMA_DEPTH:
            return Problem("", "too_deep", f"A schema may be nested {MAX_SCHEMA_DEPTH} levels deep at most.")
        members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        stack += [(member, depth + 1) for member in members if isinstance(member, (dict, list))]
    if len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
        return Problem("", "too_large", f"A schema may be {MAX_SCHEMA_BYTES} bytes long at most.")
    return None


_SINGLE = (
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
#: These apply to the same value as the schema they stand in, so a loop of them never ends.
_IN_PLACE = ("allOf", "anyOf", "dependentSchemas", "else", "if", "not", "oneOf", "then")


def _walk_subschemas(schema: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Every place that holds a schema, by pointer; what is only data (`const`, `default`, `enum`) is not."""
    stack: list[tuple[str, Any]] = [("", schema)]
    while stack:
        pointer, current = stack.pop()
        if isinstance(current, bool):
            yield pointer, {}
        if not isinstance(current, dict):
            continue
        yield pointer, current
        stack += reversed([(pointer + step, child) for step, child in _children(current)])


def _children(schema: JsonObject) -> Iterator[tuple[str, Any]]:
    for keyword, value in schema.items():
        if keyword in _SINGLE:
            yield pointer_to([keyword]), value
        elif keyword in _LISTS and isinstance(value, list):
            yield from ((pointer_to([keyword, index]), child) for index, child in enumerate(value))
        elif keyword in _MAPS and isinstance(value, dict):
            yield from ((pointer_to([keyword, name]), child) for name, child in value.items())


_UNSUPPORTED = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$vocabulary")


def _find_unsupported(pointer: str, schema: JsonObject) -> Iterator[Problem]:
    for keyword in _UNSUPPORTED:
        if keyword in schema:
            message = f"{keyword} is not supported. Use $ref with a pointer into this schema, such as #/$defs/item."
            yield Problem(pointer + pointer_to([keyword]), "unsupported_keyword", message)
    if schema.get("$schema", _DIALECT) not in (_DIALECT, _DIALECT + "#"):
        yield Problem(pointer + "/$schema", "unsupported_dialect", f"Only 2020-12 ({_DIALECT}) is supported.")
    for keyword in ("$id", "$schema"):
        if pointer and keyword in schema:
            message = f"{keyword} may only stand at the top of a schema."
            yield Problem(f"{pointer}/{keyword}", "unsupported_keyword", message)
    for keyword, instead in _UNEVALUATED.items():
        if keyword in schema:
            message = f"{keyword} is not supported. Use {instead}."
            yield Problem(f"{pointer}/{keyword}", "unsupported_keyword", message)


# While it looks for these, jsonschema matches `patternProperties` with `re`, which takes exponential time, and checks
# every item again without our count of the work.
_UNEVALUATED = {"unevaluatedItems": "items", "unevaluatedProperties": "additionalProperties"}


def _find_large_minimums(pointer: str, schema: JsonObject) -> Iterator[Problem]:
    for keyword in ("minItems", "minLength", "minProperties"):
        if isinstance(least := schema.get(keyword), int | float) and least > MAX_LEAST:
            yield Problem(f"{pointer}/{keyword}", "too_large", f"{keyword} may be {MAX_LEAST} at most.")


_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _find_bad_patterns(pointer: str, schema: JsonObject) -> Iterator[Problem]:
    named = schema.get("patternProperties")
    patterns: list[tuple[str, Any]] = [("/pattern", schema.get("pattern"))]
    if isinstance(named, dict):
        patterns += [(pointer_to(["patternProperties", name]), name) for name in named]
    for step, pattern in patterns:
        if isinstance(pattern, str) and (reason := _refusal_of(pattern)) is not None:
            message = (
                f"This pattern cannot be used ({reason}). Patterns follow RE2: no look-around, no back-references."
            )
            yield Problem(pointer + step, "invalid_pattern", message)


def _refusal_of(pattern: str) -> str | None:
    try:
        compile_pattern(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else "it does not compile"
        return _short(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason))
    return None


def _find_bad_references(pointer: str, schema: JsonObject, subschemas: dict[str, JsonObject]) -> Iterator[Problem]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return
    if reference != "#" and not reference.startswith("#/"):
        message = f"{_short(reference)!r} is not in this schema. Only references that begin with #/ are followed."
        yield Problem(f"{pointer}/$ref", "remote_reference", message)
    elif _target(reference) not in subschemas:
        yield Problem(f"{pointer}/$ref", "unknown_reference", f"There is no schema at {_short(reference)!r}.")


def _target(reference: str) -> str:
    return unquote(reference[1:])


def _find_endless_reference(subschemas: dict[str, JsonObject]) -> list[Problem]:
    """A schema that leads to itself without a step into the value would be checked for ever."""
    follows = {pointer: list(_in_place(pointer, schema, subschemas)) for pointer, schema in subschemas.items()}
    waiting = dict.fromkeys(follows, 0)
    for targets in follows.values():
        for target in targets:
            waiting[target] += 1
    free = [pointer for pointer, count in waiting.items() if count == 0]
    while free:
        for target in follows[free.pop()]:
            waiting[target] -= 1
            if waiting[target] == 0:
                free.append(target)
    looping = [pointer for pointer, count in waiting.items() if count > 0 and "$ref" in subschemas[pointer]]
    return [Problem(f"{p}/$ref", "endless_reference", "This reference leads back to itself.") for p in looping[:1]]


def _in_place(pointer: str, schema: JsonObject, subschemas: dict[str, JsonObject]) -> Iterator[str]:
    for step, _child in _children(schema):
        if step.split("/")[1] in _IN_PLACE and pointer + step in subschemas:
            yield pointer + step
    if isinstance(reference := schema.get("$ref"), str):
        yield _target(reference)


def _find_meta_problems(schema: JsonObject) -> list[Problem]:
    """Where the schema is not valid 2020-12 at all."""
    try:
        errors = list(islice(_META_VALIDATOR.iter_errors(schema), MAX_PROBLEMS))
    except RecursionError:
        return [Problem("", "too_deep", "This schema is nested too deeply.")]
    found = {pointer_to(error.absolute_path): error for error in reversed(errors)}
    return [
        Problem(pointer, "invalid_schema", f"This is not valid JSON Schema 2020-12: {_describe(error)}")
        for pointer, error in found.items()
    ]


def _as_problem(error: ValidationError) -> Problem:
    return Problem(pointer_to(error.absolute_path), str(error.validator), f"This value {_describe(error)}.")


def _describe(error: ValidationError) -> str:
    """What is wrong, as the end of a sentence that begins with the value. Never longer than a screen line or two."""
    keyword, wanted = str(error.validator), error.validator_value
    if error.validator in OWN_KEYWORDS:
        return _short(error.message)
    if keyword == "type":
        names = wanted if isinstance(wanted, list) else [wanted]
        return f"has to be of type {' or '.join(map(str, names))}, not {_type_name(error.instance)}"
    if keyword in ("enum", "const"):
        choices: list[Any] = wanted if keyword == "enum" else [wanted]  # type: ignore[assignment]  # an enum is a list
        return "has to be one of " + _short(", ".join(json.dumps(choice, ensure_ascii=False) for choice in choices))
    if keyword in ("anyOf", "oneOf") and error.context:
        return f"fits none of the allowed forms{_nearest(error)}"
    if keyword in _BOUNDS:
        return f"{_BOUNDS[keyword]} {wanted}"
    return f"breaks the rule {keyword!r} ({_short(error.message)})"


_BOUNDS = {
    "minimum": "has to be at least",
    "maximum": "has to be at most",
    "exclusiveMinimum": "has to be greater than",
    "exclusiveMaximum": "has to be less than",
    "multipleOf": "has to be a multiple of",
    "minLength": "is too short; its least length is",
    "maxLength": "is too long; its greatest length is",
    "minItems": "has too few items; the least number is",
    "maxItems": "has too many items; the greatest number is",
    "minProperties": "has too few properties; the least number is",
    "maxProperties": "has too many properties; the greatest number is",
}


def _nearest(error: ValidationError) -> str:
    nearest = best_match([error])
    if nearest is None or nearest is error:
        return ""
    return f" (nearest: {pointer_to(nearest.absolute_path) or 'it'} {_describe(nearest)})"


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:297] + "..."
