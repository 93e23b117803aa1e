"""The lines of an execution's stream: events of its journal, and pieces of the models' text between them."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from deployments.models import ExecutionEvent

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

#: What `message_of_row` makes a message from.
EVENT_COLUMNS = ("seq", "type", "block_id", "agent", "payload_text", "at")


class Message(NamedTuple):
    """One line of the stream. `text` is the JSON that is sent; `seq` is None where it is no event of a journal."""

    seq: int | None
    type: str
    text: str


def event_message(row: ExecutionEvent) -> dict[str, Any]:
    """`{seq, type, block_id, agent, payload, at}`, as every API shows an event."""
    return {
        "seq": row.seq,
        "type": row.type,
        "block_id": row.block_id or None,
        "agent": row.agent or None,
        "payload": row.payload,
        "at": row.at.isoformat().replace("+00:00", "Z"),
    }


def message_of_row(row: tuple[Any, ...]) -> Message:
    """What `event_message` shows, from `EVENT_COLUMNS`. The payload's text stays as it is, which saves most work."""
    seq, kind, block_id, agent, payload, at = row
    head = _encode({"seq": seq, "type": kind, "block_id": block_id or None, "agent": agent or None})
    # Between the tokens of JSON a line's end means nothing; in Server-Sent Events it would end the field.
    payload = payload.replace("\r", " ").replace("\n", " ")
    time = at.isoformat().replace("+00:00", "Z")
    return Message(seq, kind, f'{head[:-1]},"payload":{payload},"at":"{time}"}}')


def delta_message(delta: Mapping[str, Any]) -> Message:
    """`{type: "delta", block_id, agent, key, offset, text}`.

    A piece continues what was shown of its key when that ends at `offset`; with a smaller `offset` it replaces what
    stood from there on. With a larger one something was missed, and the next piece at 0 makes up for it.
    """
    return message("delta", delta)


def message(kind: str, members: Mapping[str, Any]) -> Message:
    """A message that is not an event of a journal."""
    return Message(None, kind, _encode({"type": kind} | dict(members)))
