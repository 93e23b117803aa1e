"""Reading an answer that has to be JSON under a schema, and telling the model what is wrong with it."""

import json
import math
import re
from dataclasses import dataclass
from typing import NoReturn

from executor.errors import Problem
from executor.json_schema import validate_instance
from executor.json_types import Json, JsonObject

MAX_DEPTH = 100
MAX_PROBLEMS = 20

FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(.*)\n[ \t]*```", re.DOTALL)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
ESCAPED_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


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
    text = text.strip()
    if (fenced := FENCED.fullmatch(text)) is not None:
        text = fenced[1]
    value: Json = json.loads(text, parse_float=_finite, parse_constant=_refuse)
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep.")
    # Providers clean the text, but an escape can still spell what no database stores.
    return _clean(value) if ESCAPED_UNSTORABLE.search(text) else value


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


def _clean(value: Json) -> Json:
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {UNSTORABLE.sub("\ufffd", key): _clean(item) for key, item in value.items()}
    return value


def _sentence(problem: Problem) -> str:
    return f"At {problem.pointer}: {problem.message}" if problem.pointer else problem.message


def _explain(sentences: list[str], *, truncated: bool) -> str:
    shown = [f"- {sentence}" for sentence in sentences[:MAX_PROBLEMS]]
    if len(sentences) > MAX_PROBLEMS:
        shown.append(f"- There are {len(sentences) - MAX_PROBLEMS} more problems like these.")
    if truncated:
        shown.append("- It was cut off at the limit of output tokens: answer more briefly.")
    return "\n".join(shown)
