"""Whether the names in a design's templates can have a value when the block runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import re2

from executor.errors import Problem
from executor.graph import Graph
from executor.json_types import JsonObject
from executor.schema_validator import TooMuchWork, count_work, matches_pattern
from executor.spec import Block, Design
from executor.templates import InputName, OutputName, is_index, names_in, parse_name

_MAX_SCHEMAS = 1_000


def check_template_names(design: Design, graph: Graph) -> Iterator[Problem]:
    """Names of unknown kinds, of blocks that do not come before, and of input that the schema rules out."""
    names = _Names(design, graph)
    for number, block in enumerate(design.blocks):
        for pointer, text in _templates_of(block, f"/blocks/{number}/data"):
            for written in names_in(text):
                if (found := names.problem_with(written, number)) is not None:
                    yield Problem(pointer, *found)


def _templates_of(block: Block, place: str) -> Iterator[tuple[str, str]]:
    yield f"{place}/task", block.data.task
    for index, agent in enumerate(block.agents):
        yield f"{place}/agents/{index}/system_prompt", agent.system_prompt


class _Names:
    """What the names of one design may stand for."""

    def __init__(self, design: Design, graph: Graph) -> None:
        self._schema = design.input_schema
        self._places: dict[str, int] = {}
        for place, block in enumerate(design.blocks):
            self._places.setdefault(block.id, place)
        self._ancestors = graph.ancestors(graph.sorted_blocks())
        self._impossible: dict[InputName, bool] = {}
        count_work()

    def problem_with(self, written: str, block: int) -> tuple[str, str] | None:
        name = parse_name(written)
        if name is None:
            message = f"{{{{{_short(written)}}}}} is unknown. Use {{{{input.<name>}}}} or {{{{blocks.<id>.output}}}}."
            return "unknown_template_name", message
        if isinstance(name, OutputName):
            return self._problem_with_output(name, block)
        if self._schema is None:
            return None
        if name not in self._impossible:
            self._impossible[name] = not can_exist(self._schema, name.path)
        if self._impossible[name]:
            return "unknown_input_name", f"The input schema has no place for {_short('.'.join(name.path))!r}."
        return None

    def _problem_with_output(self, name: OutputName, block: int) -> tuple[str, str] | None:
        place = self._places.get(name.block_id)
        if place is None:
            return "unknown_block", f"No block of this design has the id {_short(name.block_id)!r}."
        # Blocks on a cycle have no ancestors to speak of; the cycle is a problem already.
        if block in self._ancestors and not self._ancestors[block] >> place & 1:
            return (
                "not_upstream",
                f"The block {name.block_id!r} does not come before this one, so it has no output yet.",
            )
        return None


@dataclass
class _Walk:
    """The schemas that all apply to the value at one point of a path."""

    root: JsonObject
    seen: int = 0

    def spread(self, schema: Any) -> list[Any]:
        """The schema, what its `$ref` names and what its `allOf` holds, and theirs."""
        found: list[Any] = []
        stack, visited = [schema], set()
        while stack and self.seen < _MAX_SCHEMAS:
            current = stack.pop()
            self.seen += 1
            found.append(current)
            if not isinstance(current, dict) or id(current) in visited:
                continue
            visited.add(id(current))
            if isinstance(current.get("allOf"), list):
                stack += current["allOf"]
            if isinstance(reference := current.get("$ref"), str):
                stack.append(_resolve(self.root, reference))
        return found


def can_exist(schema: JsonObject, path: tuple[str, ...]) -> bool:
    """Whether a value that fits the schema may have something at the path. In doubt, it may.

    Matching patterns is counted as work (`count_work`), for a design can have thousands of names and of patterns.
    """
    walk = _Walk(schema)
    applying = walk.spread(schema)
    for segment in path:
        below = [step for each in applying for step in _step_into(each, segment)]
        if any(each is False for each in below):
            return False
        applying = [found for each in below for found in walk.spread(each)]
    return True


def _step_into(schema: Any, segment: str) -> list[Any]:
    """What the schema says of the member: schemas that apply to it, or False where there can be none."""
    if not isinstance(schema, dict):
        return [False] if schema is False else []
    if not _may_be_container(schema, segment):
        return [False]
    found: list[Any] = []
    if _allows_type(schema, "object"):
        found = _member_schemas(schema, segment)
    if is_index(segment) and _allows_type(schema, "array"):
        items = _item_schemas(schema, int(segment))
        # A list or an object: with both allowed, one of them is enough.
        found = items if not _allows_type(schema, "object") or False in found else []
    return found


def _may_be_container(schema: JsonObject, segment: str) -> bool:
    return _allows_type(schema, "object") or (is_index(segment) and _allows_type(schema, "array"))


def _allows_type(schema: JsonObject, name: str) -> bool:
    wanted = schema.get("type")
    return wanted is None or wanted == name or (isinstance(wanted, list) and name in wanted)


def _member_schemas(schema: JsonObject, name: str) -> list[Any]:
    properties, patterns = schema.get("properties"), schema.get("patternProperties")
    found = [properties[name]] if isinstance(properties, dict) and name in properties else []
    if isinstance(patterns, dict):
        found += [subschema for pattern, subschema in patterns.items() if _matches(pattern, name)]
    return found or [schema.get("additionalProperties", True)]


def _item_schemas(schema: JsonObject, index: int) -> list[Any]:
    prefix = schema.get("prefixItems")
    if isinstance(prefix, list) and index < len(prefix):
        return [prefix[index]]
    return [schema.get("items", True)]


def _matches(pattern: str, name: str) -> bool:
    try:
        return matches_pattern(pattern, name)
    except (re2.error, TooMuchWork):
        return True


def _resolve(root: JsonObject, reference: str) -> Any:
    """What a local reference names; anything goes (True) where it names nothing, for that is a problem of its own."""
    value: Any = root
    for part in unquote(reference.removeprefix("#")).split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and is_index(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return True
    return value


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."
