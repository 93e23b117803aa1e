"""JSON from strangers: what no part of the system should ever have to handle is refused here, with a pointer."""

import math
import re
from typing import Any

from executor.errors import Problem
from executor.pointers import pointer_to

#: A NUL, which PostgreSQL cannot store, or half of a surrogate pair, which UTF-8 cannot express.
_BAD_CHARACTER = re.compile("[\x00\ud800-\udfff]")
_MAX_FLOAT_BITS = 1_023
#: The walk ends with so many problems: such a document was not written by mistake.
MAX_PROBLEMS = 100

# A path is kept as (parent, step), so that a pointer is only written for what is wrong.
_Path = tuple[Any, str | int] | None


def find_hostile_values(document: object, *, max_depth: int, max_values: int) -> list[Problem]:
    """Nesting beyond the bound, too many values, NULs, lone surrogates, numbers beyond a double, and what is not JSON.

    Never recursive. The walk ends at once when there are more values than allowed, or `MAX_PROBLEMS` problems.
    """
    problems: list[Problem] = []
    stack: list[tuple[object, _Path, int]] = [(document, None, 0)]
    seen = 0
    while stack and len(problems) < MAX_PROBLEMS:
        value, path, depth = stack.pop()
        seen += 1
        if seen > max_values:
            return [Problem("", "too_large", f"The document holds more than {max_values} values.")]
        if isinstance(value, (dict, list)):
            if depth >= max_depth:
                message = f"The document may be nested {max_depth} levels deep at most."
                problems.append(Problem(_pointer(path), "too_deep", message))
                continue
            members = list(value.items() if isinstance(value, dict) else enumerate(value))
            problems += [found for key, _ in members if (found := _problem_with_key(key, path)) is not None]
            stack += [(member, (path, key), depth + 1) for key, member in reversed(members)]
        elif (reason := _reason_against(value)) is not None:
            problems.append(Problem(_pointer(path), *reason))
    return problems


def _problem_with_key(key: object, path: _Path) -> Problem | None:
    if isinstance(key, int):
        return None
    reason = _reason_against(key) if isinstance(key, str) else ("not_json", "The keys of an object have to be strings.")
    return None if reason is None else Problem(_pointer(path), *reason)


def _reason_against(value: object) -> tuple[str, str] | None:
    if isinstance(value, str):
        if _BAD_CHARACTER.search(value) is None:
            return None
        return "bad_character", "This text holds a NUL or half of a surrogate pair, which cannot be stored."
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if value.bit_length() <= _MAX_FLOAT_BITS else _NOT_FINITE
    if isinstance(value, float):
        return None if math.isfinite(value) else _NOT_FINITE
    return "not_json", f"A value of type {type(value).__name__} is not JSON."


_NOT_FINITE = ("not_finite", "This number is not finite or too large.")


def _pointer(path: _Path) -> str:
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step if isinstance(step, int) else _BAD_CHARACTER.sub("\ufffd", str(step)))
    return pointer_to(reversed(steps))
