"""The trace of an execution: its journal, sorted into blocks and their calls, with their places on the time line."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from deployments.models import ExecutionEvent
from executor.events import LAST_EVENT_TYPES, RESULT_TYPES, REUSED

#: A longer prompt or output is cut in the page; the JSON of the execution has it whole.
MOST_CHARACTERS = 20_000
_RESULTS = RESULT_TYPES - {"decision"}


@dataclass
class Call:
    """One request to a model with all its tries: a line of the time line, and of the trace.

    `offset` and `width` are percent of the execution's time. `on_critical_path`: had it been quicker, so had the whole.
    """

    seq: int
    agent: str
    phase: str
    round: int
    repair: int
    started_at: datetime
    payload: Mapping[str, Any]
    ended_at: datetime | None = None
    state: Literal["running", "completed", "failed", "cancelled"] = "running"
    retries: list[Mapping[str, Any]] = field(default_factory=list)
    offset: float = 0.0
    width: float = 0.0
    on_critical_path: bool = False

    @property
    def key(self) -> tuple[str, str, int, int]:
        return self.agent, self.phase, self.round, self.repair

    @property
    def reused(self) -> Mapping[str, Any] | None:
        """Which execution paid for it, where that was another one."""
        return self.payload.get(REUSED)

    @property
    def tokens(self) -> int:
        usage = self.payload.get("usage") or {}
        return int(usage.get("input_tokens", 0) + usage.get("output_tokens", 0))

    @property
    def output(self) -> str:
        """What it answered, as text."""
        output = self.payload.get("output")
        return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2)

    @property
    def cost(self) -> Decimal | None:
        cost = self.payload.get("cost")
        return None if cost is None else Decimal(cost)


@dataclass
class Block:
    """One block of the design and what is recorded of it. `entries` are calls and decisions, in their order."""

    id: str
    label: str
    state: str = "waiting"
    reused: bool = False
    note: str = ""
    task: str = ""
    entries: list["Call | Decision"] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        return [entry for entry in self.entries if isinstance(entry, Call)]

    def as_state(self) -> dict[str, Any]:
        """What `<execution-graph>` shows of it."""
        return {"state": self.state, "reused": self.reused, "note": self.note}


@dataclass(frozen=True)
class Decision:
    """What a block decided, or a warning about it."""

    seq: int
    payload: Mapping[str, Any]
    is_decision: bool = True

    @property
    def payload_json(self) -> str:
        return json.dumps(self.payload)


@dataclass
class Trace:
    """All that is recorded of an execution. `about` is its first event's payload."""

    blocks: dict[str, Block]
    about: Mapping[str, Any] = field(default_factory=dict)
    last_seq: int = 0

    @property
    def reached(self) -> list[Block]:
        """The blocks that something is recorded of."""
        return [block for block in self.blocks.values() if block.state != "waiting"]

    @property
    def calls(self) -> list[tuple[Block, Call]]:
        """Those that this execution made itself, as they began."""
        made = [(block, call) for block in self.blocks.values() for call in block.calls if call.reused is None]
        return sorted(made, key=lambda pair: (pair[1].started_at, pair[1].seq))

    def states(self) -> dict[str, Any]:
        return {block.id: block.as_state() for block in self.reached}


def read_trace(events: Iterable[ExecutionEvent], labels: Mapping[str, str], *, now: datetime) -> Trace:
    """The trace of these events, which are all of an execution's, in their order; `now` ends what still runs."""
    trace = Trace({block_id: Block(block_id, label) for block_id, label in labels.items()})
    has_ended = False
    for event in events:
        trace.last_seq = event.seq
        if event.seq == 1:
            trace.about = event.payload
        has_ended = has_ended or event.type in LAST_EVENT_TYPES
        if event.block_id:
            _add(trace.blocks.setdefault(event.block_id, Block(event.block_id, event.block_id)), event)
    if has_ended:
        _close(trace)
    _place(trace, now)
    return trace


def _add(block: Block, event: ExecutionEvent) -> None:
    kind, payload = event.type, event.payload
    if kind == "block.started":
        block.state, block.task = "running", payload.get("task", "")
    elif kind.startswith("block."):
        block.state = kind.removeprefix("block.")
        block.note = payload.get("message") or payload.get("reason") or ""
        block.reused = REUSED in payload
    elif kind == "agent.started":
        block.entries.append(_call(event))
    elif kind == "agent.retrying":
        _retry(block, event)
    elif kind in _RESULTS:
        _end_call(block, event)
    elif kind in ("decision", "execution.warning"):
        block.entries.append(Decision(event.seq, payload, is_decision=kind == "decision"))


def _call(event: ExecutionEvent) -> Call:
    payload = event.payload
    place = (payload.get("phase", ""), payload.get("round", 0), payload.get("repair", 0))
    return Call(event.seq, event.agent, *place, started_at=event.at, payload=payload)


def _retry(block: Block, event: ExecutionEvent) -> None:
    waiting = next(
        (call for call in reversed(block.calls) if call.agent == event.agent and call.ended_at is None), None
    )
    if waiting is not None:
        waiting.retries.append(event.payload)


def _end_call(block: Block, event: ExecutionEvent) -> None:
    ended = _call(event)
    call = next((known for known in reversed(block.calls) if known.key == ended.key), None)
    if call is None:  # taken over from another execution, without its beginning
        block.entries.append(call := ended)
    call.payload = {**call.payload, **event.payload}
    call.ended_at = event.at
    call.state = "failed" if event.type == "agent.failed" else "completed"


def _close(trace: Trace) -> None:
    """What an execution's end cut short: nobody waits for it any more."""
    for block in trace.blocks.values():
        if block.state == "running":
            block.state = "cancelled"
        for call in block.calls:
            if call.ended_at is None:
                call.state = "cancelled"


def _place(trace: Trace, now: datetime) -> None:
    calls = [call for _, call in trace.calls]
    if not calls:
        return
    start = min(call.started_at for call in calls)
    end = max(call.ended_at or now for call in calls)
    whole = max((end - start).total_seconds(), 0.001)
    for call in calls:
        call.offset = (call.started_at - start).total_seconds() / whole * 100
        call.width = max(((call.ended_at or now) - call.started_at).total_seconds() / whole * 100, 0.4)
    _mark_critical_path(calls, now)


def _mark_critical_path(calls: list[Call], now: datetime) -> None:
    """From the call that ended last backwards: each time the one that ended last before the next began."""
    current: Call | None = max(calls, key=lambda call: call.ended_at or now)
    while current is not None:
        current.on_critical_path = True
        began = current.started_at
        before = [
            call for call in calls if call.ended_at is not None and call.ended_at <= began and call is not current
        ]
        before = [call for call in before if not call.on_critical_path]
        current = max(before, key=lambda call: (call.ended_at, call.seq), default=None)
