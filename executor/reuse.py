"""Running an execution again: which blocks run, and what of the record another execution takes over.

What is taken over bears `reused: {execution_id, at}` in its payload (who paid for it, and when) and is charged to
nobody again. There are two ways:

- A block that does not run again is taken over whole: its end, its calls and its decisions. Nothing of it is asked or
  looked at again, so an edited input does not reach it.
- A block that runs again because it has no good result, or because one before it has none, begins anew. Its calls that
  ended well come along as `agent.reusable`: each becomes the call's result when the very same is asked under its key,
  and is left lying when anything in the prompt differs, because the input was edited or something before it came out
  otherwise. So a failed call is made anew, and with it whatever followed from it and comes out differently.

Of failures only those come along that are history: their agent gave a good answer in a later call of the block (a
branch that was retried, a debater that kept its position). A block that failed although no call did, for a reason that
its pattern found in the answers, gets none of these answers back: they would lead to the same end.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from executor.checkpoint import usage_of_results
from executor.errors import CannotRerun
from executor.events import REUSED, Event, EventType, RecordedEvent
from executor.graph import Graph
from executor.json_types import JsonObject
from executor.results import PAYLOAD_EXCEEDED
from executor.spec import Design
from executor.usage import Usage

START: Literal["start"] = "start"
FAILED: Literal["failed"] = "failed"

_OF_CALLS = ("agent.started", "agent.completed", "agent.failed", "agent.reusable")
#: Ways in which a block fails that say nothing against the answers that it had by then.
_NOT_OF_THE_ANSWERS = frozenset(
    {"timeout", "budget_exceeded", "daily_budget_exceeded", "internal_error", PAYLOAD_EXCEEDED}
)
_LISTED = 10


@dataclass(frozen=True)
class Reuse:
    """What a re-run does. `blocks` are taken over whole, `run_again` run: together they are the design's, by id.

    `offered` are the positions of the results that come along for blocks that run again. `ended` counts the blocks
    among `blocks` that have run (the others were skipped), `usage` is what they used when they did.
    """

    blocks: frozenset[str]
    run_again: frozenset[str]
    offered: frozenset[int] = frozenset()
    ended: int = 0
    usage: Usage = field(default_factory=Usage)

    def take_over(self, entry: RecordedEvent, *, execution_id: str, at: datetime) -> Event | None:
        """What becomes of an event of `execution_id` in the re-run's journal, where it is recorded at `at`.

        None for what is left behind.
        """
        event = entry.event
        if entry.position in self.offered:
            return _marked(event, "agent.reusable", execution_id, at)
        if event.block_id in self.blocks and event.type != "agent.reusable":
            return _marked(event, event.type, execution_id, at)
        return None


def select_reuse(design: Design, recorded: Iterable[RecordedEvent], start_from: str) -> Reuse:
    """What a re-run from there reuses of an execution that has ended, of which exactly this is recorded.

    `start_from` is `start` (everything runs again), `failed` (what has no good result, and what comes after it) or a
    block's id (that block and all that come after it; besides, what has not ended). `recorded` is gone through once,
    and little of it is kept. Raises `CannotRerun`.
    """
    graph, everything = Graph.of(design), range(len(design.blocks))
    if start_from == START:
        return _reuse(design, _Record({}), frozenset(everything), frozenset())
    record = _read(recorded)
    if start_from == FAILED:
        again = graph.downstream(place for place in everything if not record.went_well(design, place))
        if record.is_completed and not again:
            raise CannotRerun(
                f"Nothing failed in this execution: every block has its result. Run it again from {START}, or from a"
                " block.",
                code="nothing_failed",
            )
        return _reuse(design, record, again, again)
    chosen = _find(design, start_from)
    unsettled = [place for place in everything if not record.is_settled(design, place)]
    _check_reached(design, record, chosen, graph.upstream([chosen]) - {chosen})
    anew = graph.downstream([chosen])
    again = anew | graph.downstream(unsettled)
    return _reuse(design, record, again, again - anew)


def _reuse(design: Design, record: "_Record", again: frozenset[int], resumed: frozenset[int]) -> Reuse:
    """`resumed` are the blocks among those to run again that may use what they were answered."""
    ids = [block.id for block in design.blocks]
    reused = [block_id for place, block_id in enumerate(ids) if place not in again]
    ended = [record.of(block_id) for block_id in reused if record.of(block_id).end != "block.skipped"]
    usage = Usage()
    for block in ended:
        usage = usage.plus(block.usage)
    return Reuse(
        blocks=frozenset(reused),
        run_again=frozenset(ids[place] for place in again),
        offered=frozenset(position for place in resumed for position in record.of(ids[place]).offered()),
        ended=len(ended),
        usage=usage,
    )


def _find(design: Design, block_id: str) -> int:
    ids = [block.id for block in design.blocks]
    if block_id in ids:
        return ids.index(block_id)
    message = (
        f"This version of the design has no block {block_id!r}. Give {START}, {FAILED}, or the id of one of its blocks:"
        f" {_listed(ids)}."
    )
    raise CannotRerun(message, code="unknown_block")


def _check_reached(design: Design, record: "_Record", chosen: int, before: Iterable[int]) -> None:
    block_id = design.blocks[chosen].id
    missing = [design.blocks[place].id for place in sorted(before) if not record.is_settled(design, place)]
    if missing:
        message = (
            f"Block {block_id!r} works on what comes before it, and of that there is no recorded result:"
            f" {_listed(missing)}. Run it again from {FAILED}, which runs these too, or from {START}."
        )
        raise CannotRerun(message, code="missing_results")
    if record.of(block_id).end == "block.skipped":
        message = (
            f"Block {block_id!r} was skipped because nothing reached it, and so it would be again. Run it again from a"
            f" block before it, or from {START}."
        )
        raise CannotRerun(message, code="block_not_reached")


def _listed(ids: Sequence[str]) -> str:
    more = len(ids) - _LISTED
    return ", ".join(ids[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _marked(event: Event, event_type: EventType, execution_id: str, at: datetime) -> Event:
    """Where it is taken over from a re-run that had taken it over itself, the first mark stays."""
    mark: JsonObject = {REUSED: {"execution_id": execution_id, "at": event.at.isoformat().replace("+00:00", "Z")}}
    return replace(event, type=event_type, at=at, payload=mark | event.payload)


# What is kept of a record while it is gone through


@dataclass(eq=False)
class _Call:
    """One agent call with its repairs, by the positions of what is recorded of it. `offers` have not become results."""

    agent: str | None
    started: int = 0
    results: list[int] = field(default_factory=list)
    offers: list[int] = field(default_factory=list)
    outcome: Literal["open", "good", "failed"] = "open"
    is_history: bool = False

    def read(self, entry: RecordedEvent) -> None:
        event = entry.event
        if event.type == "agent.started":
            self.started = entry.position
        elif event.type == "agent.reusable":
            self.offers.append(entry.position)
        else:
            self.results.append(entry.position)
            self.outcome = "failed" if event.type == "agent.failed" else "open" if event.payload["error"] else "good"
            # A failure that was taken over was found to be history then.
            self.is_history = event.is_reused


@dataclass
class _Block:
    """One block: how it ended, and its calls by their keys."""

    end: EventType | None = None
    code: str | None = None
    blamed: str | None = None
    usage: Usage = field(default_factory=Usage)
    calls: dict[str, _Call] = field(default_factory=dict)

    def read(self, entry: RecordedEvent) -> None:
        event = entry.event
        if event.type in ("block.completed", "block.failed", "block.skipped"):
            self.end, self.blamed = event.type, event.agent
            self.code = str(event.payload["code"]) if event.type == "block.failed" else None
        elif event.type in _OF_CALLS and event.key is not None:
            self.usage = self.usage.plus(usage_of_results([entry]))
            self.calls.setdefault(_call_key(event, event.key), _Call(event.agent)).read(entry)

    def offered(self) -> Iterator[int]:
        """The positions of the results that come along when the block runs again."""
        failures = [call for call in self.calls.values() if call.outcome == "failed"]
        made_anew = [call for call in failures if not self._is_history(call)]
        if self.end == "block.failed" and not made_anew and self.code not in _NOT_OF_THE_ANSWERS:
            return
        for call in self.calls.values():
            if not call.results:
                yield from call.offers
            elif call.outcome == "good" or (call.outcome == "failed" and call not in made_anew):
                yield from call.results

    def _is_history(self, failure: _Call) -> bool:
        if failure.is_history:
            return True
        of_agent = [call for call in self.calls.values() if call.agent == failure.agent]
        later = [call for call in of_agent if call.started > failure.results[-1]]
        if self.blamed == failure.agent and not any(call.outcome == "failed" for call in later):
            return False  # the block's failure names it
        return any(call.outcome == "good" for call in later)


@dataclass
class _Record:
    """One execution's record, by block id."""

    blocks: dict[str, _Block]
    is_completed: bool = False

    def of(self, block_id: str) -> _Block:
        return self.blocks.get(block_id) or _Block()

    def went_well(self, design: Design, place: int) -> bool:
        """Whether the block has a good result: its own, or that nothing reached it."""
        return self.of(design.blocks[place].id).end in ("block.completed", "block.skipped")

    def is_settled(self, design: Design, place: int) -> bool:
        """Whether what comes after the block could go on: it went well, or its failure was one to go on after."""
        block = design.blocks[place]
        has_failed = self.of(block.id).end == "block.failed" and self.of(block.id).code != PAYLOAD_EXCEEDED
        return self.went_well(design, place) or (has_failed and block.data.config.on_error != "fail")


def _read(recorded: Iterable[RecordedEvent]) -> _Record:
    record = _Record({})
    for entry in recorded:
        if entry.event.type == "execution.completed":
            record.is_completed = True
        elif entry.event.block_id is not None:
            record.blocks.setdefault(entry.event.block_id, _Block()).read(entry)
    return record


def _call_key(event: Event, key: str) -> str:
    """The key of the call that a checkpoint belongs to."""
    return key.rpartition("/")[0] if event.payload.get("repair") else key
