"""The journal: what a run records, and what a resumed run finds recorded.

Write-ahead rule: `append` only orders an event; `flush` returns when all that was appended is durable. The engine
flushes before every outgoing call, so a call's start is durable before the call, and each result is durable before
anything downstream is asked to work on it.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from executor.errors import RepeatedKey
from executor.events import RESULT_TYPES, Event, EventType, RecordedEvent
from executor.payload import recorded_size, size_of


class Journal(Protocol):
    """Records the events of one execution, in order."""

    def result_of(self, key: str) -> RecordedEvent | None:
        """The recorded result (`agent.completed`, `agent.failed` or `decision`) under this key, from any attempt."""

    def reusable(self, key: str) -> RecordedEvent | None:
        """What another execution was answered under this key (`agent.reusable`): a result only once it is used."""

    def calls_without_result(self) -> Sequence[RecordedEvent]:
        """The `agent.started` events of earlier attempts whose call has no recorded result: outcome unknown."""

    def earlier_calls(self) -> Sequence[RecordedEvent]:
        """The `agent.*` events of earlier attempts, in order: a resumed run takes from them what is already used.

        Without what was taken over from another execution, which has paid for it.
        """

    def held_bytes(self) -> int:
        """The bytes of the prompts, answers and outputs that were recorded before this run, for they are held."""

    def event_of(self, event_type: EventType, block_id: str | None = None) -> RecordedEvent | None:
        """The `block.*` event of that type that an earlier attempt recorded of the block, or the `execution.*` one."""

    def append(self, event: Event) -> int:
        """Put the event next in order and return its position. Raises `RepeatedKey`, `JournalClosed`."""

    async def flush(self) -> None:
        """Return once everything appended is durable. Raises `JournalClosed` when it cannot become so."""


class RecordedPast:
    """What earlier attempts recorded, indexed by checkpoint key. The in-memory and the database journal share it."""

    def __init__(self, recorded: Iterable[RecordedEvent] = ()) -> None:
        self._results: dict[str, RecordedEvent] = {}
        self._started: dict[str, RecordedEvent] = {}
        self._reusable: dict[str, RecordedEvent] = {}
        self.earlier_calls: list[RecordedEvent] = []
        self._progress: dict[tuple[EventType, str | None], RecordedEvent] = {}
        self.last_position = 0
        self.held_bytes = 0
        system_prompts: dict[str | None, int] = {}
        for entry in recorded:
            self.held_bytes += recorded_size(entry.event)
            if entry.event.type == "agent.started":
                system_prompts[entry.event.key] = size_of(entry.event.payload.get("system_prompt", ""))
            self.last_position = max(self.last_position, entry.position)
            if entry.event.type.startswith("agent.") and not entry.event.is_reused:
                self.earlier_calls.append(entry)
            if entry.event.type.startswith(("block.", "execution.")):
                self._progress[entry.event.type, entry.event.block_id] = entry
            if entry.event.key is None:
                continue
            if entry.event.type in RESULT_TYPES:
                self._results[entry.event.key] = entry
            elif entry.event.type == "agent.reusable":
                self._reusable[entry.event.key] = entry
            elif entry.event.type == "agent.started" and not entry.event.is_reused:
                self._started[entry.event.key] = entry
        # A call without a result is made again, and counted then.
        self.held_bytes += sum(size for key, size in system_prompts.items() if key in self._results)

    def result_of(self, key: str) -> RecordedEvent | None:
        return self._results.get(key)

    def reusable(self, key: str) -> RecordedEvent | None:
        return self._reusable.get(key)

    def calls_without_result(self) -> list[RecordedEvent]:
        return [entry for key, entry in self._started.items() if key not in self._results]

    def event_of(self, event_type: EventType, block_id: str | None = None) -> RecordedEvent | None:
        return self._progress.get((event_type, block_id))

    def add(self, event: Event) -> int:
        """Take a new event into the index; a key that already has a result is refused."""
        if event.key is not None and event.type in RESULT_TYPES:
            if event.key in self._results:
                raise RepeatedKey(f"The checkpoint {event.key!r} already has a result.")
            self._results[event.key] = RecordedEvent(event, self.last_position + 1)
        self.last_position += 1
        return self.last_position


class InMemoryJournal:
    """A journal in a list. `events` can be handed to another run, whole or any prefix of it, to resume from."""

    def __init__(self, recorded: Iterable[RecordedEvent] = ()) -> None:
        self.events: list[RecordedEvent] = list(recorded)
        self._past = RecordedPast(self.events)
        self._unfinished = self._past.calls_without_result()
        self.flushes = 0

    def result_of(self, key: str) -> RecordedEvent | None:
        return self._past.result_of(key)

    def reusable(self, key: str) -> RecordedEvent | None:
        return self._past.reusable(key)

    def calls_without_result(self) -> Sequence[RecordedEvent]:
        return self._unfinished

    def earlier_calls(self) -> Sequence[RecordedEvent]:
        return self._past.earlier_calls

    def held_bytes(self) -> int:
        return self._past.held_bytes

    def event_of(self, event_type: EventType, block_id: str | None = None) -> RecordedEvent | None:
        return self._past.event_of(event_type, block_id)

    def append(self, event: Event) -> int:
        position = self._past.add(event)
        self.events.append(RecordedEvent(event, position))
        return position

    async def flush(self) -> None:
        self.flushes += 1
