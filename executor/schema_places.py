"""Where a JSON Schema holds schemas.

It is walked once. A place knows its parent and its own step: with a pointer for every place, one long name above
thousands of places would be stored thousands of times.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from executor.json_types import JsonObject
from executor.pointers import pointer_to, steps_of

_SINGLE = frozenset(
    {
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
    }
)
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
#: These apply to the same value as the schema they stand in, so a loop of them never ends.
_IN_PLACE = frozenset({"allOf", "anyOf", "dependentSchemas", "else", "if", "not", "oneOf", "then"})

Step = tuple[str, str | int | None]


class TooManyPlaces(Exception):
    """The schema holds more schemas than were allowed."""


@dataclass(frozen=True, slots=True)
class _Place:
    schema: JsonObject
    parent: int
    step: Step


class SchemaPlaces:
    """Every place that holds a schema, by number, the root first; what is only data (`enum`, `default`) is none."""

    def __init__(self, schema: JsonObject, *, at_most: int) -> None:
        """Raises `TooManyPlaces`."""
        self._places: list[_Place] = []
        self._numbers: dict[tuple[int, Step], int] = {}
        stack: list[tuple[int, Step, Any]] = [(-1, ("", None), schema)]
        while stack:
            parent, step, current = stack.pop()
            if not isinstance(current, bool | dict):
                continue
            if len(self._places) == at_most:
                raise TooManyPlaces
            number = len(self._places)
            self._numbers[parent, step] = number
            self._places.append(_Place({} if isinstance(current, bool) else current, parent, step))
            stack += reversed([(number, below, child) for below, child in children(current)])

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[tuple[int, JsonObject]]:
        return ((number, place.schema) for number, place in enumerate(self._places))

    def pointer(self, number: int, *below: str | int) -> str:
        """The pointer to a place, and to what stands below it."""
        steps: list[str | int] = list(reversed(below))
        while number > 0:
            place = self._places[number]
            keyword, name = place.step
            steps += [keyword] if name is None else [name, keyword]
            number = place.parent
        return pointer_to(reversed(steps))

    def find(self, reference: str) -> int | None:
        """The place that a `$ref` with a pointer (`#/$defs/item`) names; None where no schema stands."""
        steps = steps_of(unquote(reference.removeprefix("#")))
        number, index = 0, 0
        while index < len(steps):
            keyword = steps[index]
            name: str | int | None = None
            if keyword not in _SINGLE:
                index += 1
                name = steps[index] if index < len(steps) else None
                if keyword in _LISTS and name is not None:
                    name = int(name) if name.isascii() and name.isdigit() and len(name) < 7 else None
            found = self._numbers.get((number, (keyword, name)))
            if found is None:
                return None
            number, index = found, index + 1
        return number

    def in_place(self, number: int) -> Iterator[int]:
        """The places whose schemas apply to the same value as this one's."""
        schema = self._places[number].schema
        for step, _child in children(schema):
            if step[0] in _IN_PLACE and (below := self._numbers.get((number, step))) is not None:
                yield below
        if isinstance(reference := schema.get("$ref"), str) and (target := self.find(reference)) is not None:
            yield target


def children(schema: Any) -> Iterator[tuple[Step, Any]]:
    """What stands directly below a schema where a schema may stand, with the step that leads there."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        if keyword in _SINGLE:
            yield (keyword, None), value
        elif keyword in _LISTS and isinstance(value, list):
            yield from (((keyword, index), child) for index, child in enumerate(value))
        elif keyword in _MAPS and isinstance(value, dict):
            yield from (((keyword, name), child) for name, child in value.items())


def replace_false(schema: JsonObject, instead: JsonObject) -> JsonObject:
    """The schema with `instead` wherever it holds `false`, but for what closes a list or an object."""
    replaced: dict[str, Any] = dict(schema)
    for (keyword, name), child in children(schema):
        if child is False:
            new: Any = instead
        elif isinstance(child, dict):
            new = replace_false(child, instead)
        else:
            continue
        if name is not None:
            if replaced[keyword] is schema[keyword]:
                replaced[keyword] = replaced[keyword].copy()
            replaced[keyword][name] = new
        elif child is not False or keyword not in ("additionalProperties", "items"):
            replaced[keyword] = new
    return replaced
