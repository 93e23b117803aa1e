"""Which JSON Schemas (2020-12) the engine can use: those that it can check values against safely.

Schemas come from strangers. What one may ask for is bounded, for itself and for all schemas of a design together.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import re2
from jsonschema import Draft202012Validator
from jsonschema_specifications import REGISTRY as SPECIFICATIONS

from executor.errors import Problem
from executor.json_schema import MAX_PROBLEMS, describe
from executor.json_types import Json, JsonObject
from executor.pointers import pointer_to
from executor.schema_places import SchemaPlaces, TooManyPlaces
from executor.schema_validator import EMPTY_REGISTRY, compile_pattern, shorten

MAX_SCHEMA_BYTES = 200_000
#: Nesting of the schema's own JSON.
MAX_SCHEMA_DEPTH = 60
#: Schemas that stand in a schema: properties, items, alternatives.
MAX_PLACES = 5_000
MAX_PLACES_OF_DESIGN = 20_000
#: Steps of the compiled patterns: a letter is one, `\pL` about a thousand, `a{50}` fifty.
MAX_PATTERN_STEPS_OF_DESIGN = 300_000
#: What compiling a pattern costs that is then refused, in such steps.
_STEPS_OF_REFUSED = 10_000
#: What a schema may ask for at least: items, properties, characters.
MAX_LEAST = 10_000

#: null, boolean, integer, number, string, array and object.
_TYPES = 7

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass
class SchemaAllowance:
    """What the schemas of one design may still come to."""

    places: int = MAX_PLACES_OF_DESIGN
    pattern_steps: int = MAX_PATTERN_STEPS_OF_DESIGN


def check_schema(schema: Json, allowance: SchemaAllowance | None = None) -> list[Problem]:
    """Why the engine cannot use the schema (100 reasons at most), with pointers into it.

    The schemas of one design share an `allowance`.
    """
    allowance = allowance or SchemaAllowance()
    if not isinstance(schema, dict):
        return [Problem("", "invalid_schema", "A schema has to be a JSON object.")]
    if (oversize := _find_oversize(schema)) is not None:
        return [oversize]
    try:
        places = SchemaPlaces(schema, at_most=MAX_PLACES)
    except TooManyPlaces:
        message = f"A schema may hold {MAX_PLACES} schemas at most: properties, items, alternatives."
        return [Problem("", "too_large", message)]
    allowance.places -= len(places)
    if allowance.places < 0:
        message = f"The schemas of a design may hold {MAX_PLACES_OF_DESIGN} schemas in all; this one is beyond that."
        return [Problem("", "too_large", message)]
    if long_types := _find_long_types(places):
        return long_types
    problems = list(islice(_find_problems(schema, places, allowance), MAX_PROBLEMS))
    return problems or _find_endless_reference(places)


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


def _find_long_types(places: SchemaPlaces) -> list[Problem]:
    """Lists of types with more than there are, first of all: the validator keeps an error for each that is none."""
    found = [place for place, schema in places if isinstance(types := schema.get("type"), list) and len(types) > _TYPES]
    message = f"A list of types names each of the {_TYPES} types once at most."
    return [Problem(places.pointer(place, "type"), "invalid_schema", message) for place in found[:MAX_PROBLEMS]]


def _find_problems(schema: JsonObject, places: SchemaPlaces, allowance: SchemaAllowance) -> Iterator[Problem]:
    yield from _find_meta_problems(schema)
    for place, subschema in places:
        yield from chain(
            _find_unsupported(places, place, subschema),
            _find_large_minimums(places, place, subschema),
            _find_bad_patterns(places, place, subschema, allowance),
            _find_bad_reference(places, place, subschema),
        )


def _flat_meta_schema() -> JsonObject:
    """The meta-schema as one schema: with its vocabularies in files of their own it takes ten times as long."""
    meta: Any = Draft202012Validator.META_SCHEMA
    uris = [f"https://json-schema.org/draft/2020-12/{part['$ref']}" for part in meta["allOf"]]
    vocabularies = [SPECIFICATIONS.contents(uri) for uri in uris]
    flat: Any = {"type": ["object", "boolean"], "properties": {}, "$defs": {}}
    for part in (*vocabularies, meta):
        flat["properties"] |= part.get("properties", {})
        flat["$defs"] |= part.get("$defs", {})
    as_json = json.dumps(flat).replace('{"$dynamicRef": "#meta"}', '{"$ref": "#"}')
    loaded: JsonObject = json.loads(as_json)
    return loaded


_META_VALIDATOR = Draft202012Validator(_flat_meta_schema(), registry=EMPTY_REGISTRY)


def _find_meta_problems(schema: JsonObject) -> list[Problem]:
    """Where the schema is not valid 2020-12 at all."""
    try:
        errors = list(islice(_META_VALIDATOR.iter_errors(schema), MAX_PROBLEMS))
    except RecursionError:
        return [Problem("", "too_deep", "This schema is nested too deeply.")]
    found = {pointer_to(error.absolute_path): error for error in reversed(errors)}
    return [
        Problem(pointer, "invalid_schema", f"This is not valid JSON Schema 2020-12: {describe(error)}")
        for pointer, error in found.items()
    ]


_UNSUPPORTED = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$vocabulary")
# While it looks for these, jsonschema matches `patternProperties` with `re`, which takes exponential time, and checks
# every item again without our count of the work.
_UNEVALUATED = {"unevaluatedItems": "items", "unevaluatedProperties": "additionalProperties"}


def _find_unsupported(places: SchemaPlaces, place: int, schema: JsonObject) -> Iterator[Problem]:
    for keyword in _UNSUPPORTED:
        if keyword in schema:
            message = f"{keyword} is not supported. Use $ref with a pointer into this schema, such as #/$defs/item."
            yield Problem(places.pointer(place, keyword), "unsupported_keyword", message)
    if schema.get("$schema", _DIALECT) not in (_DIALECT, _DIALECT + "#"):
        message = f"Only 2020-12 ({_DIALECT}) is supported."
        yield Problem(places.pointer(place, "$schema"), "unsupported_dialect", message)
    for keyword in ("$id", "$schema"):
        if place and keyword in schema:
            message = f"{keyword} may only stand at the top of a schema."
            yield Problem(places.pointer(place, keyword), "unsupported_keyword", message)
    for keyword, instead in _UNEVALUATED.items():
        if keyword in schema:
            message = f"{keyword} is not supported. Use {instead}."
            yield Problem(places.pointer(place, keyword), "unsupported_keyword", message)


def _find_large_minimums(places: SchemaPlaces, place: int, schema: JsonObject) -> Iterator[Problem]:
    for keyword in ("minItems", "minLength", "minProperties"):
        if isinstance(least := schema.get(keyword), int | float) and least > MAX_LEAST:
            yield Problem(places.pointer(place, keyword), "too_large", f"{keyword} may be {MAX_LEAST} at most.")


def _find_bad_patterns(
    places: SchemaPlaces, place: int, schema: JsonObject, allowance: SchemaAllowance
) -> Iterator[Problem]:
    named = schema.get("patternProperties")
    patterns: list[tuple[tuple[str, ...], Any]] = [(("pattern",), schema.get("pattern"))]
    if isinstance(named, dict):
        patterns += [(("patternProperties", name), name) for name in named]
    for steps, pattern in patterns:
        if isinstance(pattern, str) and (found := _problem_with_pattern(pattern, allowance)) is not None:
            yield Problem(places.pointer(place, *steps), *found)


def _problem_with_pattern(pattern: str, allowance: SchemaAllowance) -> tuple[str, str] | None:
    if allowance.pattern_steps < 0:
        return "too_large", "The patterns of this design come to too much in all. Use fewer or shorter ones."
    try:
        allowance.pattern_steps -= compile_pattern(pattern).programsize
    except re2.error as error:
        allowance.pattern_steps -= _STEPS_OF_REFUSED
        said = error.args[0] if error.args else "it does not compile"
        reason = shorten(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))
        rules = "Patterns follow RE2: no look-around, no back-references; maxLength instead of large repetitions."
        return "invalid_pattern", f"This pattern cannot be used ({reason}). {rules}"
    return None


def _find_bad_reference(places: SchemaPlaces, place: int, schema: JsonObject) -> Iterator[Problem]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return
    if reference != "#" and not reference.startswith("#/"):
        message = f"{shorten(reference)!r} is not in this schema. Only references that begin with #/ are followed."
        yield Problem(places.pointer(place, "$ref"), "remote_reference", message)
    elif places.find(reference) is None:
        message = f"There is no schema at {shorten(reference)!r}."
        yield Problem(places.pointer(place, "$ref"), "unknown_reference", message)


def _find_endless_reference(places: SchemaPlaces) -> list[Problem]:
    """A schema that leads to itself without a step into the value would be checked for ever."""
    follows = {place: list(places.in_place(place)) for place, _ in places}
    waiting = dict.fromkeys(follows, 0)
    for targets in follows.values():
        for target in targets:
            waiting[target] += 1
    free = [place for place, count in waiting.items() if count == 0]
    while free:
        for target in follows[free.pop()]:
            waiting[target] -= 1
            if waiting[target] == 0:
                free.append(target)
    looping = [place for place, schema in places if waiting[place] > 0 and "$ref" in schema]
    message = "This reference leads back to itself."
    return [Problem(places.pointer(place, "$ref"), "endless_reference", message) for place in looping[:1]]
