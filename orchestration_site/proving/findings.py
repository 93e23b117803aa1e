"""What became of the accepted executions, as the REST API tells it: the figures that a verdict rests on."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from executor.events import LAST_EVENT_TYPES
from orchestration_site.proving.client import SiteClient

ENDED = frozenset({"completed", "failed", "cancelled", "skipped"})
#: Events of which a block, or an execution, has one at most.
RESULTS = frozenset({"agent.completed", "agent.failed", "block.completed", "block.failed"})
READERS = 16


@dataclass(frozen=True)
class Line:
    """A line of an execution's journal."""

    seq: int
    type: str
    block_id: str | None
    agent: str | None
    at: datetime


@dataclass(frozen=True)
class Record:
    """One execution as it is shown."""

    execution_id: str
    marker: str
    status: str
    error_code: str | None
    attempt: int
    created_at: datetime
    completed_at: datetime | None
    lines: tuple[Line, ...]

    @classmethod
    def read(cls, shown: Mapping[str, Any]) -> "Record":
        """From the body of `GET /api/executions/{id}`."""
        return cls(
            execution_id=shown["execution_id"],
            marker=str(shown["input_data"].get("marker", "")),
            status=shown["status"],
            error_code=shown["error_code"],
            attempt=shown["attempt"],
            created_at=datetime.fromisoformat(shown["created_at"]),
            completed_at=shown["completed_at"] and datetime.fromisoformat(shown["completed_at"]),
            lines=tuple(
                Line(line["seq"], line["type"], line["block_id"], line["agent"], datetime.fromisoformat(line["at"]))
                for line in shown["events"]
            ),
        )

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def duplicated_results(self) -> int:
        """Results beyond the one that each agent, each block and the execution itself may have."""
        results = Counter((line.type.split(".")[0], line.block_id) for line in self.lines if line.type in RESULTS)
        ends = sum(line.type in LAST_EVENT_TYPES for line in self.lines)
        return sum(count - 1 for count in results.values()) + max(0, ends - 1)

    @property
    def has_gap(self) -> bool:
        """Whether the journal is not one line after the other from the first on."""
        return [line.seq for line in self.lines] != list(range(1, len(self.lines) + 1))

    @property
    def announced(self) -> Counter[str]:
        """The calls that the journal knows to have begun, by block."""
        return Counter(line.block_id or "" for line in self.lines if line.type in ("agent.started", "agent.retrying"))

    def pauses_after(self, kills: Sequence[datetime]) -> list[float]:
        """How long it stood still after those kills that cost it an attempt, in seconds.

        Every execution pauses at every kill for as long as its call takes; so of the pauses that span a kill the
        longest are taken, as many as it had attempts beyond the first.
        """
        pauses = [_seconds_until_next(self.lines, kill) for kill in kills]
        return sorted((pause for pause in pauses if pause is not None), reverse=True)[: max(0, self.attempt - 1)]


@dataclass(frozen=True)
class Findings:
    """The figures of one trial. `lost` are accepted and not known to the site; `stuck` have not ended in time."""

    accepted: int
    records: tuple[Record, ...]
    lost: tuple[str, ...]
    #: Executions that nobody was told of: a call that was accepted twice.
    strangers: tuple[str, ...]
    counted_as_ended: int
    repeated_calls: int
    unannounced_calls: int
    recoveries: tuple[float, ...] = field(default=())

    @property
    def completed(self) -> list[Record]:
        return [record for record in self.records if record.status == "completed"]

    @property
    def failed(self) -> list[Record]:
        return [record for record in self.records if record.has_ended and record.status != "completed"]

    @property
    def stuck(self) -> list[Record]:
        return [record for record in self.records if not record.has_ended]

    @property
    def duplicated_results(self) -> int:
        return sum(record.duplicated_results for record in self.records)

    @property
    def with_gaps(self) -> list[Record]:
        return [record for record in self.records if record.has_gap]


async def read_records(client: SiteClient, execution_ids: Iterable[str]) -> tuple[list[Record], list[str]]:
    """The executions that the site knows, and the ids of those that it does not."""
    known: list[Record] = []
    unknown: list[str] = []
    turns = asyncio.Semaphore(READERS)

    async def read(execution_id: str) -> None:
        async with turns:
            answer = await client.read(f"/api/executions/{execution_id}")
        if answer.status == 200:
            known.append(Record.read(answer.body))
        else:
            unknown.append(execution_id)

    async with asyncio.TaskGroup() as readers:
        for execution_id in execution_ids:
            readers.create_task(read(execution_id))
    return known, unknown


def count_unannounced(record: Record, calls: Mapping[str, int]) -> int:
    """How many of the calls that reached the provider the journal does not know to have begun, `calls` by block."""
    return sum(max(0, count - record.announced[block]) for block, count in calls.items())


def count_announced_again(records: Iterable[Record]) -> int:
    """Repeated calls by the journals' own account, for a site whose provider cannot be asked."""
    return sum(count - 1 for record in records for count in record.announced.values())


def _seconds_until_next(lines: Sequence[Line], kill: datetime) -> float | None:
    """From the kill to the next line, if it hit the execution between two of its lines."""
    later = [line.at for line in lines if line.at > kill]
    if not later or len(later) == len(lines):
        return None
    return (min(later) - kill).total_seconds()
