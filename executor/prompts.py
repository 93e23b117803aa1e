"""How a prompt is put together from a task and what reaches an agent."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from executor.json_types import Json

LONGEST_INDENTED = 1_000_000


@dataclass(frozen=True)
class Delivery:
    """A value under the heading an agent sees it by: an upstream block's label, an agent's name, or `Input`."""

    label: str
    value: Json

    @cached_property
    def text(self) -> str:
        """The value as agents see it. Written once, however many agents it reaches."""
        return as_text(self.value)


def write_prompt(*, task: str, deliveries: Iterable[Delivery], instruction: str = "") -> str:
    """The task first, each delivery under its heading, the instruction last. Empty parts are left out."""
    parts = [task.strip()]
    parts += [f"## {delivery.label}\n{delivery.text}" for delivery in deliveries]
    parts.append(instruction.strip())
    return "\n\n".join(part for part in parts if part)


def as_text(value: Json) -> str:
    """A string as it is; anything else as JSON, indented unless that would be long.

    Deep lists of short numbers would become a hundred times as long.
    """
    if isinstance(value, str):
        return value
    pieces: list[str] = []
    left = LONGEST_INDENTED
    for piece in json.JSONEncoder(ensure_ascii=False, indent=2).iterencode(value):
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return "".join(pieces)
