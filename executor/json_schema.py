"""Values held against a JSON Schema (2020-12), and what their problems are called."""

import json
from itertools import islice
from typing import Any

from jsonschema.exceptions import ValidationError, best_match

from executor.errors import Problem
from executor.json_types import Json, JsonObject
from executor.pointers import pointer_to
from executor.schema_validator import OWN_KEYWORDS, TooMuchWork, iterate_errors, shorten

MAX_PROBLEMS = 100


def validate_instance(schema: JsonObject, value: Json) -> list[Problem]:
    """Every way in which the value breaks the schema (at most 100), with pointers into the value.

    The schema is one that `check_schema` has let through, or one of our own.
    """
    try:
        # One by one: an error holds those of all alternatives that were tried.
        return [_as_problem(error) for error in islice(iterate_errors(schema, value), MAX_PROBLEMS)]
    except TooMuchWork:
        return [Problem("", "too_complex", "Checking this value against its schema takes too long; simplify either.")]
    except RecursionError:
        return [Problem("", "too_deep", "This value is nested too deeply for its schema.")]


def _as_problem(error: ValidationError) -> Problem:
    return Problem(pointer_to(error.absolute_path), str(error.validator), f"This value {describe(error)}.")


def describe(error: ValidationError) -> str:
    """What is wrong, as the end of a sentence that begins with the value. Never longer than a screen line or two."""
    keyword, wanted = str(error.validator), error.validator_value
    if error.validator in OWN_KEYWORDS:
        return error.message
    if keyword == "type":
        names = wanted if isinstance(wanted, list) else [wanted]
        return f"has to be of type {' or '.join(map(str, names))}, not {_type_name(error.instance)}"
    if keyword in ("enum", "const"):
        choices: list[Any] = wanted if keyword == "enum" else [wanted]  # type: ignore[assignment]  # an enum is a list
        return "has to be one of " + shorten(", ".join(json.dumps(choice, ensure_ascii=False) for choice in choices))
    if keyword in ("anyOf", "oneOf") and error.context:
        return f"fits none of the allowed forms{_nearest(error)}"
    if keyword in _BOUNDS:
        return f"{_BOUNDS[keyword]} {shorten(str(wanted))}"
    return f"breaks the rule {keyword!r} ({shorten(error.message)})"


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
    return f" (nearest: {pointer_to(nearest.absolute_path) or 'it'} {describe(nearest)})"


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
