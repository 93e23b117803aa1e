"""Reading an answer that has to be JSON under a schema, and telling the model what is wrong with it."""

import json
import math
from dataclasses import dataclass
from typing import NoReturn

from executor.errors import Problem
from executor.json_schema import validate_instance
from executor.json_types import Json, JsonObject
from executor.providers.text import clean_json_text

MAX_DEPTH = 100
MAX_PROBLEMS = 20
MAX_DIGITS = 300  # every such integer is also a finite double, which others will take it for


@dataclass(frozen=True)
class Reading:
    """The value an answer's text stands for, or the sentences that say why it is none."""

    value: Json
    error: str | None = None


def read_structured(text: str, schema: JsonObject, *, truncated: bool) -> Reading:
    """Parse and validate an answer: JSON alone, or in one code fence. `truncated` explains a broken end."""
    try:
        value = _parse(text)
    except (ValueError, RecursionError) as reason:
        return Reading(None, _explain([f"It is not valid JSON: {reason}"], truncated=truncated))
    problems = validate_instance(schema, value)
    if problems:
        return Reading(None, _explain([_sentence(problem) for problem in problems], truncated=truncated))
    return Reading(value)


def repair_prompt(error: str) -> str:
    """What the model is told after an answer with that error."""
    return (
        f"Your last answer cannot be used.\n{error}\n\n"
        "Answer again with the complete, corrected JSON that satisfies the schema, and nothing else."
    )


def _parse(text: str) -> Json:
    # Providers clean the text; here its escapes count too, which can spell what no database stores.
    text = clean_json_text(text)
    value: Json = json.loads(text, parse_int=_bounded, parse_float=_finite, parse_constant=_refuse)
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep.")
    return value


def _bounded(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits is too large.")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large a number.")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number.")


def _is_deeper(value: Json, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in children)


def _sentence(problem: Problem) -> str:
    return f"At {problem.pointer}: {problem.message}" if problem.pointer else problem.message


def _explain(sentences: list[str], *, truncated: bool) -> str:
    shown = [f"- {sentence}" for sentence in sentences[:MAX_PROBLEMS]]
    if len(sentences) > MAX_PROBLEMS:
        shown.append(f"- There are {len(sentences) - MAX_PROBLEMS} more problems like these.")
    if truncated:
        shown.append("- It was cut off at the limit of output tokens: answer more briefly.")
    return "\n".join(shown)
