"""What happens in an execution, as the journal keeps it and as live viewers see it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from executor.json_types import JsonObject

EventType = Literal[
    "execution.accepted",
    "execution.started",
    "execution.resumed",
    "execution.warning",
    "execution.cancel_requested",
    "execution.completed",
    "execution.failed",
    "execution.cancelled",
    "block.started",
    "block.completed",
    "block.failed",
    "block.skipped",
    "agent.started",
    "agent.retrying",
    "agent.completed",
    "agent.failed",
    "agent.reusable",
    "decision",
]

#: The types that end a checkpoint: one of these under a key is that key's result, and there is never a second.
RESULT_TYPES: frozenset[EventType] = frozenset({"agent.completed", "agent.failed", "decision"})

#: The types that end an execution.
LAST_EVENT_TYPES: tuple[EventType, ...] = ("execution.completed", "execution.failed", "execution.cancelled")
#: The member of a payload that says: this was taken over from another execution, and is not charged to this one.
REUSED = "reused"


@dataclass(frozen=True)
class Event:
    """One fact about an execution. `key` names a checkpoint; `at` is the time by the run's clock, in UTC."""

    type: EventType
    at: datetime
    block_id: str | None = None
    agent: str | None = None
    key: str | None = None
    payload: JsonObject = field(default_factory=dict)

    @property
    def is_reused(self) -> bool:
        """Whether another execution paid for what this is about."""
        return REUSED in self.payload


@dataclass(frozen=True)
class RecordedEvent:
    """An event with its place in the journal: `position` only grows, and tells what happened before what."""

    event: Event
    position: int


@dataclass(frozen=True)
class Delta:
    """A piece of an agent's text while the model still writes it: live only, never stored.

    `offset` counts the characters of this call's text before `text`.
    """

    block_id: str
    agent: str
    key: str
    offset: int
    text: str


DeltaSink = Callable[[Delta], None]
