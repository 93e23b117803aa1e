"""The validator of JSON Schema 2020-12 that values are held against: jsonschema's, with its dangers taken out.

Nothing is fetched, patterns run in RE2 (linear time), and the work of one validation is counted and bounded:
`$ref`s that multiply each other could otherwise keep a processor busy for years.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from threading import Lock
from typing import Any

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry

from executor.json_types import Json, JsonObject
from executor.schema_places import replace_false

#: What one validation may cost, each unit well under a microsecond: a few seconds at the very worst.
MAX_WORK = 5_000_000
_KEYWORD_COST, _REFERENCE_COST = 10, 100
#: An error costs more than what finds it: each is kept until its alternatives have been tried.
_ERROR_COST = 50
#: The nearest of so many errors of the alternatives (`anyOf`) is told.
_MOST_ALTERNATIVES = 20
#: Compiled validators that are kept, and of how much JSON in all.
CACHE_SIZE, CACHE_CHARACTERS = 256, 8_000_000
#: What a compiled pattern may take, with all that it remembers while it runs.
PATTERN_BYTES = 512 * 1024
#: Characters of a value or a name that a message may hold.
LONGEST_SHOWN = 200

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]

EMPTY_REGISTRY: Registry[Any] = Registry()
_work_left: ContextVar[list[int]] = ContextVar("work_left")
#: Of one validation: the deep sizes of its lists and objects by `id`, which stays theirs while the value is held.
_known_sizes: ContextVar[dict[int, int]] = ContextVar("known_sizes")
#: Keywords that read the value to its very bottom, and how many characters of a text cost as much as one member.
_DEEP = ("const", "enum", "uniqueItems")
_TEXT_UNIT = 20
#: Of the steps of a pattern so many can matter at one character, and so many cost a unit.
_MOST_STATES, _STATES_A_UNIT = 4_000, 64


class TooMuchWork(Exception):
    """The validation has used `MAX_WORK` and is not done."""


def iterate_errors(schema: JsonObject, value: Json) -> Iterator[ValidationError]:
    """The errors of the value, as they are found. Raises `TooMuchWork`, and `RecursionError` on deep nesting."""
    count_work()
    yield from _COMPILED.get(schema).iter_errors(value)


def count_work() -> None:
    """From here on, in this context, the work is counted anew."""
    _work_left.set([MAX_WORK])
    _known_sizes.set({})


def work_left() -> int:
    """What the latest validation in this context has left of `MAX_WORK`."""
    return _work_left.get()[0]


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """The pattern as a compiled RE2 expression over UTF-8 bytes. Raises `re2.error` when RE2 cannot run it."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_BYTES
    return re2.compile(pattern.encode("utf-8", "replace"), options)


def matches_pattern(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text, as `pattern` in a schema means it.

    Counted as work: linear time is still a step for each character and each state that the pattern can be in. Raises
    `TooMuchWork`.
    """
    compiled = compile_pattern(pattern)
    _spend(1 + len(text) * min(compiled.programsize, _MOST_STATES) // _STATES_A_UNIT)
    return compiled.search(text.encode("utf-8", "replace")) is not None


def shorten(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not matches_pattern(pattern, instance):
        yield ValidationError(f"does not match the pattern {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    _spend(len(patterns) * len(instance))
    for pattern, subschema in patterns.items():
        for name, member in instance.items():
            if matches_pattern(pattern, name):
                yield from validator.descend(member, subschema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    _spend(len(patterns) * len(instance))
    for name, member in instance.items():
        if name in named or any(matches_pattern(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("is not a known property", path=[name])
        else:
            yield from validator.descend(member, allowed, path=name)


def _required(validator: Any, names: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for name in names:
        if name not in instance:
            yield ValidationError("is required", path=[name])


def _unique_items(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not wanted or not validator.is_type(instance, "array"):
        return
    seen: set[str] = set()
    for index, item in enumerate(instance):
        text = json.dumps(_with_one_zero(item), sort_keys=True)
        if text in seen:
            yield ValidationError("repeats an earlier item, and the items have to differ", path=[index])
            return
        seen.add(text)


def _with_one_zero(value: Any) -> Any:
    """The value with 1.0 as 1, for JSON Schema compares numbers by what they are worth."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_one_zero(item) for item in value]
    if isinstance(value, dict):
        return {name: _with_one_zero(member) for name, member in value.items()}
    return value


def _counted(keyword: Keyword, cost: int, measure: Callable[[Any], int]) -> Keyword:
    def evaluate(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _spend(cost + measure(value) + measure(instance))
        for error in keyword(validator, value, instance, schema) or ():
            # jsonschema writes the whole value into its message: that costs, and must not be kept for every error.
            _spend(_ERROR_COST + len(error.message) // _TEXT_UNIT)
            error.message = shorten(error.message)
            error.args = (error.message,)  # an exception keeps all that it was made of
            if error.context and len(error.context) > _MOST_ALTERNATIVES:
                error.context = error.context[:_MOST_ALTERNATIVES]
            yield error

    return evaluate


def _members(value: Any) -> int:
    return len(value) if isinstance(value, (list, dict)) else 0


def _deep_size(value: Any) -> int:
    if not isinstance(value, (list, dict)):
        return _text_size(value)
    sizes = _known_sizes.get()
    if (known := sizes.get(id(value))) is not None:
        return known
    size, stack = 0, [value]
    while stack:
        current = stack.pop()
        size += 1 + _text_size(current)
        if isinstance(current, dict):
            size += sum(map(_text_size, current))
            stack.extend(current.values())
        elif isinstance(current, list):
            stack.extend(current)
    sizes[id(value)] = size
    return size


def _text_size(value: Any) -> int:
    return len(value) // _TEXT_UNIT if isinstance(value, str) else 0


def _spend(amount: int) -> None:
    left = _work_left.get()
    left[0] -= amount
    if left[0] < 0:
        raise TooMuchWork


def _never(_validator: Any, _value: Any, _instance: Any, _schema: Any) -> Iterator[ValidationError]:
    yield ValidationError("is not allowed here")


#: What stands in for the schema `false`, whose errors jsonschema would make without our count.
_FALSE: JsonObject = {"false": True}

OWN_KEYWORDS: dict[str, Keyword] = {
    "false": _never,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "required": _required,
    "uniqueItems": _unique_items,
}
_SafeValidator: Any = extend(  # type: ignore[no-untyped-call]  # the stubs leave it untyped
    Draft202012Validator,
    validators={
        name: _counted(
            keyword,
            _REFERENCE_COST if name == "$ref" else _KEYWORD_COST,
            _deep_size if name in _DEEP else _members,
        )
        for name, keyword in (Draft202012Validator.VALIDATORS | OWN_KEYWORDS).items()
    },
)


class _Compiled:
    """The latest compiled validators by the content of their schema, for the same schema comes with every call."""

    def __init__(self) -> None:
        self._validators: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()
        self._characters = 0
        self._lock = Lock()

    def get(self, schema: JsonObject) -> Any:
        text = json.dumps(schema)
        digest = hashlib.sha256(text.encode()).digest()
        with self._lock:
            if (known := self._validators.get(digest)) is not None:
                self._validators.move_to_end(digest)
                return known[0]
        # jsonschema picks the validator class by `$schema` wherever it meets one, and would leave ours.
        plain = {name: member for name, member in schema.items() if name != "$schema"}
        validator = _SafeValidator(replace_false(plain, _FALSE), registry=EMPTY_REGISTRY)
        with self._lock:
            if digest not in self._validators:
                self._validators[digest] = validator, len(text)
                self._characters += len(text)
            while len(self._validators) > CACHE_SIZE or self._characters > CACHE_CHARACTERS:
                _, (_, characters) = self._validators.popitem(last=False)
                self._characters -= characters
        return validator


_COMPILED = _Compiled()
