"""How a run ends from outside, and how another one takes it up again."""

import asyncio
from typing import Any

import pytest

from executor.calls import AgentCall
from executor.deployment_executor import DeploymentExecutor
from executor.errors import CeilingReached, InvalidDesign, JournalClosed
from executor.events import Event, RecordedEvent
from executor.journal import InMemoryJournal
from executor.spec import Design
from executor.tests.builders import make_block, make_connection, make_design
from executor.tests.clocks import START, LoopClock, run_in_virtual_time
from executor.tests.dataflow_runs import Run, failing, play

# Ends from outside


async def cancelled_after(seconds: float, executor: DeploymentExecutor, design: Design) -> None:
    execution = asyncio.create_task(executor.execute_design(design, {}))
    await asyncio.sleep(seconds)
    execution.cancel()
    with pytest.raises(asyncio.CancelledError):
        await execution


def test_a_cancelled_execution_cancels_its_blocks_and_waits_for_them() -> None:
    cleaned: list[str] = []

    async def hold(call: AgentCall) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(2)
            cleaned.append(call.block_id)

    caller, journal = play(hold=hold), InMemoryJournal()
    executor = DeploymentExecutor(orchestrator=caller, journal=journal, clock=LoopClock())
    run_in_virtual_time(cancelled_after(1, executor, make_design(["a", "b", "c"], [("a", "c")])))
    assert sorted(cleaned) == ["a", "b"]
    assert [entry.event.type for entry in journal.events] == ["execution.started", "block.started", "block.started"]


class ClosedJournal(InMemoryJournal):
    """Belongs to another run from its `left`th event on."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def append(self, event: Event) -> int:
        if len(self.events) >= self.left:
            raise JournalClosed("The lease is lost.")
        return super().append(event)


@pytest.mark.parametrize("left", range(7))
def test_a_lost_journal_ends_the_run_by_itself_and_stops_all_blocks(left: int) -> None:
    caller = play(hold=lambda call: asyncio.sleep(1.0))
    executor = DeploymentExecutor(orchestrator=caller, journal=ClosedJournal(left), clock=LoopClock())
    with pytest.raises(JournalClosed):
        run_in_virtual_time(executor.execute_design(make_design(["a", "b", "c"]), {}))
    assert caller.running == 0


def test_a_journal_lost_during_a_call_is_no_failure_of_the_block() -> None:
    caller, journal = play({"worker": JournalClosed("The lease is lost.")}), InMemoryJournal()
    executor = DeploymentExecutor(orchestrator=caller, journal=journal, clock=LoopClock())
    with pytest.raises(JournalClosed):
        run_in_virtual_time(executor.execute_design(make_design([make_block("a", config={"on_error": "skip"})]), {}))
    assert [entry.event.type for entry in journal.events] == ["execution.started", "block.started"]


@pytest.mark.parametrize(
    ("design", "code"),
    [
        (make_design(["a", "b"], [("a", "b"), ("b", "a")]), "cycle"),
        (make_design(["a"], [("a", "gone")]), "dangling_connection"),
        (make_design(["a"], [("a", "a")]), "self_connection"),
        (make_design([]), "no_blocks"),
    ],
)
def test_a_graph_that_cannot_be_followed_is_refused_before_anything_happens(design: Design, code: str) -> None:
    caller, journal = play(), InMemoryJournal()
    executor = DeploymentExecutor(orchestrator=caller, journal=journal, clock=LoopClock())
    with pytest.raises(InvalidDesign) as refused:
        run_in_virtual_time(executor.execute_design(design, {}))
    assert code in [problem.code for problem in refused.value.problems]
    assert (caller.calls, journal.events) == ([], [])


# Resuming


def resumable() -> Design:
    """Something of everything: agents' connections, a dead branch, both kinds of tolerated failures, a missing name."""
    return make_design(
        [
            make_block("a", agents=["Ann", "Bob"]),
            make_block("ann", task="{{input.gone}}"),
            "bob",
            make_block("cont", config={"on_error": "continue", "default_output": "default"}),
            make_block("skip", config={"on_error": "skip"}),
            "end",
        ],
        [
            make_connection("a", "ann", source_agent="ann"),
            make_connection("a", "bob", source_agent="bob"),
            ("a", "cont"),
            ("a", "skip"),
            ("ann", "end"),
            ("bob", "end"),
            ("cont", "end"),
            ("skip", "end"),
        ],
    )


SCRIPT = {
    "Ann": "from ann",
    "Bob": CeilingReached("Enough.", reason="budget"),
    "cont/turn/0/worker": failing(),
    "skip/turn/0/worker": failing(),
}


def shape(events: list[Event]) -> list[tuple[Any, ...]]:
    return sorted((event.type, event.block_id or "", str(event.payload)) for event in events)


def test_a_run_resumed_from_any_prefix_ends_the_same_and_records_nothing_twice() -> None:
    whole = Run(resumable(), SCRIPT)
    assert whole.result.output == "worker of end"
    for length in range(len(whole.journal.events) + 1):
        prefix = whole.journal.events[:length]
        ended = {entry.event.block_id for entry in prefix if entry.event.type in ("block.completed", "block.failed")}
        resumed = Run(resumable(), SCRIPT, recorded=prefix)
        assert resumed.result.result_data()["output"] == whole.result.output
        assert resumed.result.blocks == whole.result.blocks
        resumptions = resumed.events("execution.resumed")
        assert shape(resumed.events()) == shape([*whole.events(), *resumptions])
        assert len(resumptions) == (length > 0), "a run that had started is resumed once"
        assert not ended & {call.block_id for call in resumed.caller.calls}


def test_a_recorded_failure_fails_the_resumed_run_without_a_call() -> None:
    design = make_design(["a", "b", "c"], [("a", "b")])
    first = Run(design, {"a/turn/0/worker": failing()})
    resumed = Run(design, {"worker": "would work now"}, recorded=first.journal.events)
    assert resumed.result.failure == first.result.failure
    assert resumed.caller.calls == []
    [resumption] = resumed.events("execution.resumed")
    assert [event for event in resumed.events() if event is not resumption] == first.events()


def test_a_recorded_failure_further_down_cancels_what_had_started() -> None:
    design = make_design(["a", "b"])
    recorded = [
        RecordedEvent(
            Event(
                "block.failed",
                START,
                "b",
                None,
                None,
                {"code": "timeout", "message": "M", "cause": None},
            ),
            1,
        )
    ]
    resumed = Run(design, recorded=recorded)
    assert resumed.result.failure is not None
    assert resumed.result.failure.code == "timeout"
    assert resumed.caller.running == 0
    assert "a" not in resumed.result.blocks
