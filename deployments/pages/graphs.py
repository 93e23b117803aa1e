"""A version's blocks and connections, as `<execution-graph>` draws them."""

from collections.abc import Mapping
from typing import Any

from executor.json_types import JsonObject


def graph_of(document: Mapping[str, Any]) -> JsonObject:
    """`{blocks: [{id, label, type, agents, x, y}], connections: [{source, target}]}` of a design document.

    Without prompts, which no reader of a graph needs.
    """
    return {
        "blocks": [_block(block) for block in document["blocks"]],
        "connections": [
            {"source": connection["source"], "target": connection["target"]} for connection in document["connections"]
        ],
    }


def labels_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The blocks' labels by their ids, in the document's order."""
    return {block["id"]: block["data"].get("label") or block["id"] for block in document["blocks"]}


def _block(block: Mapping[str, Any]) -> JsonObject:
    position = block.get("position") or {}
    return {
        "id": block["id"],
        "label": block["data"].get("label") or block["id"],
        "type": block["type"],
        "agents": [agent["name"] for agent in block["data"]["agents"]],
        "x": position.get("x", 0),
        "y": position.get("y", 0),
    }
