"""What two documents of a design differ in, told by blocks, agents and connections rather than by lines."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from executor.json_types import JsonObject

#: Longer values are cut in the middle of a page; the versions themselves have them whole.
SHOWN_CHARACTERS = 2_000
#: Of a very large design.
MAX_DIFFERENCES = 200

_NAMES = {"system_prompt": "prompt", "input_schema": "input schema", "output_schema": "output schema"}


@dataclass(frozen=True)
class Difference:
    """One change: where, what became of it, and the values, as text, where there are such."""

    place: str
    kind: Literal["added", "removed", "changed"]
    before: str = ""
    after: str = ""


def differences(before: JsonObject, after: JsonObject) -> list[Difference]:
    """From one document to the other, in the order in which a design is read; 200 at most.

    What is only laid out differently on the canvas is one difference, `Layout`.
    """
    found = [*_of_fields("Design", _top(before), _top(after)), *_of_blocks(before, after)]
    found += _of_connections(before, after)
    if _positions(before) != _positions(after):
        found.append(Difference("Layout", "changed"))
    return found[:MAX_DIFFERENCES]


def _top(document: JsonObject) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in ("format", "blocks", "connections")}


def _of_blocks(before: JsonObject, after: JsonObject) -> Iterator[Difference]:
    for was, now in _pairs(_by_id(before.get("blocks")), _by_id(after.get("blocks"))):
        place = f"Block {_label(now or was)}"
        if was is None or now is None:
            yield Difference(place, "added" if was is None else "removed")
            continue
        yield from _of_fields(place, _block_fields(was), _block_fields(now))
        yield from _of_agents(place, was, now)


def _of_agents(place: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    earlier, later = (_by_id(block.get("data", {}).get("agents")) for block in (before, after))
    for was, now in _pairs(earlier, later):
        name = f"{place}, agent {(now or was or {}).get('name', '')}"
        if was is None or now is None:
            yield Difference(name, "added" if was is None else "removed")
        else:
            yield from _of_fields(name, _flat(was), _flat(now))
    if [id_ for id_ in earlier if id_ in later] != [id_ for id_ in later if id_ in earlier]:
        yield Difference(f"{place}: order of the agents", "changed", _names(earlier), _names(later))


def _of_connections(before: JsonObject, after: JsonObject) -> Iterator[Difference]:
    blocks = _by_id(before.get("blocks")) | _by_id(after.get("blocks"))
    was, now = (_edges(document, blocks) for document in (before, after))
    yield from (Difference(f"Connection {edge}", "removed") for ends, edge in was.items() if ends not in now)
    yield from (Difference(f"Connection {edge}", "added") for ends, edge in now.items() if ends not in was)


def _of_fields(place: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name in [*before, *(name for name in after if name not in before)]:
        was, now = before.get(name), after.get(name)
        if was != now:
            yield Difference(f"{place}: {_NAMES.get(name, name.replace('_', ' '))}", "changed", _text(was), _text(now))


def _block_fields(block: Mapping[str, Any]) -> dict[str, Any]:
    data = {name: value for name, value in block.get("data", {}).items() if name != "agents"}
    return {"pattern": block.get("type"), **_flat(data)}


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """With the members of `config` and `settings` as fields of their own."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if name in ("config", "settings") and isinstance(value, Mapping):
            flat |= value
        elif name != "id":
            flat[name] = value
    return flat


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    for id_ in [*before, *(id_ for id_ in after if id_ not in before)]:
        yield before.get(id_), after.get(id_)


def _by_id(items: Any) -> dict[str, Any]:
    return {item["id"]: item for item in items or ()}


def _names(agents: Mapping[str, Any]) -> str:
    return ", ".join(str(agent.get("name", "")) for agent in agents.values())


def _edges(document: JsonObject, blocks: Mapping[str, Any]) -> dict[tuple[Any, ...], str]:
    """How each connection is told, by what it connects."""
    connections: Any = document.get("connections") or ()
    return {
        tuple(edge.get(name) for name in ("source", "source_agent", "target", "target_agent")): " → ".join(
            _end(blocks.get(edge[end]), edge.get(f"{end}_agent")) for end in ("source", "target")
        )
        for edge in connections
    }


def _end(block: Mapping[str, Any] | None, agent_id: str | None) -> str:
    """The block, and its agent where the connection is that agent's alone. Drafts may name what is not there."""
    if block is None:
        return ""
    if not agent_id:
        return _label(block)
    agent = _by_id(block.get("data", {}).get("agents")).get(agent_id, {})
    return f"{_label(block)} ({agent.get('name', agent_id)})"


def _positions(document: JsonObject) -> dict[str, Any]:
    """Of the blocks that stand somewhere."""
    return {id_: block["position"] for id_, block in _by_id(document.get("blocks")).items() if "position" in block}


def _label(block: Mapping[str, Any]) -> str:
    return str(block.get("data", {}).get("label") or block["id"])


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} …"
