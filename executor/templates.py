"""`{{input.a.b}}` and `{{blocks.<id>.output}}` in tasks and system prompts.

Names are replaced once, literally: what is put in is never looked through again, and nothing is ever evaluated.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from executor.errors import BlockFailed
from executor.json_types import Json, JsonObject

#: Characters that may be put into the texts of one block in all: one short name may stand for a whole document.
MAX_FILLED = 2_000_000

# Between braces there are no braces, so a scan never goes back over what it has read.
_NAME = re.compile(r"\{\{([^{}]*+)\}\}")
_MISSING = object()


@dataclass(frozen=True)
class InputName:
    """`input.a.0.b`: the path into the execution's input."""

    path: tuple[str, ...]


@dataclass(frozen=True)
class OutputName:
    """`blocks.<id>.output`: what that block delivered."""

    block_id: str


TemplateName = InputName | OutputName


def names_in(text: str) -> list[str]:
    """The names between double braces, without the space around them, each once, in order."""
    if "{{" not in text:
        return []
    return list(dict.fromkeys(match[1].strip() for match in _NAME.finditer(text)))


def parse_name(name: str) -> TemplateName | None:
    """What a name stands for, None when it is neither of the two kinds."""
    if name.startswith("input."):
        path = tuple(name.removeprefix("input.").split("."))
        return InputName(path) if all(path) else None
    block_id = name.removeprefix("blocks.").removesuffix(".output")
    return OutputName(block_id) if block_id and name == f"blocks.{block_id}.output" else None


class Filling:
    """Replaces the names in the texts of one block. `missing` are those that had no value, each once, in order."""

    def __init__(self, *, input_data: JsonObject, block_outputs: Mapping[str, Json]) -> None:
        self.missing: dict[str, None] = {}
        self._input_data = input_data
        self._block_outputs = block_outputs
        self._left = MAX_FILLED

    def fill(self, text: str) -> str:
        """The text with its names replaced; those without a value become empty.

        What is between braces and is neither kind of name stays as it is. Raises `BlockFailed` where more than
        `MAX_FILLED` characters would be put into the block's texts.
        """
        return _NAME.sub(self._value_of, text) if "{{" in text else text

    def _value_of(self, match: re.Match[str]) -> str:
        written = match[1].strip()
        name = parse_name(written)
        if name is None:
            return match[0]
        value = _look_up(name, self._input_data, self._block_outputs)
        if value is _MISSING:
            self.missing[written] = None
            return ""
        put_in = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        self._left -= len(put_in)
        if self._left < 0:
            message = (
                f"More than {MAX_FILLED} characters would be put into this block's task and system prompts,"
                f" at {{{{{written}}}}}. Use fewer names, or pass less in."
            )
            raise BlockFailed(message)
        return put_in


def _look_up(name: TemplateName, input_data: JsonObject, block_outputs: Mapping[str, Json]) -> object:
    if isinstance(name, OutputName):
        return block_outputs.get(name.block_id, _MISSING)
    value: object = input_data
    for segment in name.path:
        if isinstance(value, dict) and segment in value:
            value = value[segment]
        elif isinstance(value, list) and is_index(segment) and int(segment) < len(value):
            value = value[int(segment)]
        else:
            return _MISSING
    return value


def is_index(segment: str) -> bool:
    """Whether the segment of a path can stand for a place in an array."""
    return segment.isascii() and segment.isdigit() and len(segment) <= 7
