"""Other spellings of a design document, as other tools write it, brought into ours."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from executor.errors import Problem
from executor.json_types import JsonObject
from executor.pointers import pointer_to


@dataclass
class RespeltDocument:
    """The document in our spelling, what could not be respelt, and where each moved value stood before."""

    document: JsonObject
    problems: list[Problem] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)

    def original(self, pointer: str) -> str:
        """Where the value that is now at the pointer stands in the document as it was sent."""
        return self.moved.get(pointer, pointer)


def respell_document(document: JsonObject) -> RespeltDocument:
    """Bring other spellings into ours; what is wrong in other ways is left for the models to refuse.

    Accepted: `sourceAgent` and `targetAgent`; `source` and `target` as `{"blockId"}` or `{"blockId", "agentId"}`; a
    connection's `type` of `block` or `agent`, which says nothing that is not said elsewhere; a connection without
    `id`; `data.rounds` for `data.config.rounds`.
    """
    respelt = RespeltDocument(dict(document))
    blocks, connections = document.get("blocks"), document.get("connections")
    if isinstance(blocks, list):
        respelt.document["blocks"] = [_respell_block(block, f"/blocks/{i}", respelt) for i, block in enumerate(blocks)]
    if isinstance(connections, list):
        named = [_respell_connection(each, f"/connections/{i}", respelt) for i, each in enumerate(connections)]
        respelt.document["connections"] = _with_ids(named)
    return respelt


def _respell_block(block: Any, pointer: str, respelt: RespeltDocument) -> Any:
    if not isinstance(block, dict) or not isinstance(data := block.get("data"), dict) or "rounds" not in data:
        return block
    config = data.get("config", {})
    if not isinstance(config, dict):
        return block
    if "rounds" in config:
        respelt.problems.append(_twice(f"{pointer}/data/rounds", "data.rounds", "data.config.rounds"))
    respelt.moved[f"{pointer}/data/config/rounds"] = f"{pointer}/data/rounds"
    rest = {name: value for name, value in data.items() if name != "rounds"}
    return {**block, "data": {**rest, "config": {**config, "rounds": data["rounds"]}}}


def _respell_connection(connection: Any, pointer: str, respelt: RespeltDocument) -> Any:
    if not isinstance(connection, dict):
        return connection
    ours = dict(connection)
    if (kind := ours.pop("type", "block")) not in ("block", "agent"):
        message = f"A connection's type is block or agent, not {kind!r}." if isinstance(kind, str) else _TYPE_MESSAGE
        respelt.problems.append(Problem(f"{pointer}/type", "unknown_value", message))
    for end in ("source", "target"):
        _rename(ours, f"{end}Agent", f"{end}_agent", pointer, respelt)
        if isinstance(ours.get(end), dict):
            _unfold_end(ours, end, pointer, respelt)
    return ours


_TYPE_MESSAGE = "A connection's type is block or agent."


def _rename(ours: JsonObject, theirs: str, name: str, pointer: str, respelt: RespeltDocument) -> None:
    if theirs not in ours:
        return
    if name in ours:
        respelt.problems.append(_twice(f"{pointer}/{theirs}", theirs, name))
    ours[name] = ours.pop(theirs)
    respelt.moved[f"{pointer}/{name}"] = f"{pointer}/{theirs}"


def _unfold_end(ours: JsonObject, end: str, pointer: str, respelt: RespeltDocument) -> None:
    """`{"blockId": "a", "agentId": "b"}` becomes two fields."""
    there = f"{pointer}/{end}"
    written = ours.pop(end)
    if not isinstance(written, dict):
        return
    for name in written.keys() - {"blockId", "agentId"}:
        message = f"Unknown key {name!r}; blockId and agentId are known here."
        respelt.problems.append(Problem(there + pointer_to([name]), "unknown_key", message))
    if "blockId" in written:
        ours[end] = written["blockId"]
    respelt.moved[there] = f"{there}/blockId"
    if written.get("agentId") is None:
        return
    if ours.get(f"{end}_agent") is not None:
        respelt.problems.append(_twice(f"{there}/agentId", f"{end}.agentId", f"{end}_agent"))
    ours[f"{end}_agent"] = written["agentId"]
    respelt.moved[f"{there}_agent"] = f"{there}/agentId"


def _twice(pointer: str, theirs: str, ours: str) -> Problem:
    return Problem(pointer, "said_twice", f"{theirs} and {ours} say the same thing; give one of them.")


def _with_ids(connections: list[Any]) -> list[Any]:
    """Connections without an id get one from their ends, the same each time the same document is read."""
    taken = {each["id"] for each in connections if isinstance(each, dict) and isinstance(each.get("id"), str)}
    counts: dict[str, int] = {}
    return [
        {"id": _free_id(each, taken, counts), **each} if isinstance(each, dict) and "id" not in each else each
        for each in connections
    ]


def _free_id(connection: JsonObject, taken: set[str], counts: dict[str, int]) -> str:
    stem = _stem(connection.get("source"), connection.get("target"))
    while True:
        counts[stem] = counts.get(stem, 0) + 1
        name = stem if counts[stem] == 1 else f"{stem}-{counts[stem]}"
        if name not in taken:
            taken.add(name)
            return name


def _stem(source: Any, target: Any) -> str:
    if not isinstance(source, str) or not isinstance(target, str):
        return "connection"
    plain = f"{source}-{target}"
    if len(plain) <= 90:
        return plain
    return f"{source[:35]}-{target[:35]}-{hashlib.sha256(plain.encode()).hexdigest()[:12]}"
