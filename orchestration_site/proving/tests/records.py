"""Builders of what a site shows, as it should be and as it must never be."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration_site.proving.findings import Findings, Line, Record

BEGAN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

#: The journal of an execution with one block, as the types of its lines.
WHOLE = (
    "execution.accepted",
    "execution.started",
    "block.started",
    "agent.started",
    "agent.completed",
    "block.completed",
    "execution.completed",
)


def make_record(types: Sequence[str] = WHOLE, *, seconds: Sequence[float] = (), **fields: Any) -> Record:
    """A completed execution with lines of these types, a second apart unless `seconds` says when each was."""
    at = [BEGAN + timedelta(seconds=second) for second in (seconds or range(len(types)))]
    lines = tuple(
        Line(seq, kind, None if kind.startswith("execution.") else "b1", None, moment)
        for seq, (kind, moment) in enumerate(zip(types, at, strict=True), start=1)
    )
    told: dict[str, Any] = {
        "execution_id": "e1",
        "marker": "m1",
        "status": "completed",
        "error_code": None,
        "attempt": 1,
        "created_at": BEGAN,
        "completed_at": at[-1],
        "lines": lines,
    }
    return Record(**told | fields)


def make_findings(*records: Record, **fields: Any) -> Findings:
    """What is found of these executions when nothing is wrong, but for `fields`."""
    told: dict[str, Any] = {
        "accepted": len(records),
        "records": records,
        "lost": (),
        "strangers": (),
        "counted_as_ended": len(records),
        "repeated_calls": 0,
        "unannounced_calls": 0,
    }
    return Findings(**told | fields)
