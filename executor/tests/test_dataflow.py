"""Running the graph: when blocks start, what reaches them, and what a failure does."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from executor.calls import AgentCall
from executor.errors import BlockFailed, CeilingReached, InvalidOutput
from executor.patterns import PATTERNS
from executor.patterns.contract import BlockOutcome, BlockRun, Pattern
from executor.providers.contract import TokenUsage
from executor.spec import Block, BlockConfig, Design
from executor.tests.builders import (
    make_agent,
    make_block,
    make_connection,
    make_design,
)
from executor.tests.dataflow_runs import Run, failing, in_turn, play, seconds_by_block

# What reaches a block


def test_a_block_without_connections_receives_the_input() -> None:
    run = Run(make_design([make_block("a", task="Do it.")]), input_data={"text": "x"})
    assert run.caller.prompts() == ['Do it.\n\n## Input\n{\n  "text": "x"\n}']


def test_outputs_arrive_under_labels_in_connection_order_whenever_they_come() -> None:
    design = make_design(
        ["slow", "quick", make_block("end", label="End")], [("slow", "end"), ("quick", "end")], name="Order"
    )
    for late in ("slow", "quick"):
        run = Run(design, lambda call: f"from {call.block_id}", seconds=seconds_by_block(**{late: 9.0}))
        assert run.caller.prompts()[-1] == "## slow\nfrom slow\n\n## quick\nfrom quick"


def test_a_connection_with_agents_carries_one_output_to_one_agent() -> None:
    design = make_design(
        [make_block("a", agents=["Ann", "Bob"], label="First"), make_block("b", agents=["Cid", "Dee"])],
        [make_connection("a", "b", source_agent="ann", target_agent="dee"), make_connection("a", "b")],
    )
    run = Run(design, {"Ann": "ann's", "Bob": "bob's", "Cid": "cid's", "Dee": "dee's"})
    assert run.caller.prompts("Cid") == ["## First\nbob's"]
    assert run.caller.prompts("Dee") == ["## First\nbob's\n\n## First / Ann\nann's\n\n## Cid\ncid's"]


def test_templates_are_filled_with_what_any_earlier_block_delivered() -> None:
    agent = make_agent("worker", system_prompt="Speak {{input.lang}}. Recall {{blocks.a.output}}.")
    design = make_design(
        ["a", "b", make_block("c", task="Use {{ blocks.a.output }} for {{input.who}}.", agents=[agent])],
        [("a", "b"), ("b", "c")],
    )
    run = Run(design, {"worker": in_turn("A {{input.who}}", "B", "C")}, input_data={"lang": "Welsh", "who": "Ann"})
    assert run.caller.prompts()[-1].startswith("Use A {{input.who}} for Ann.\n\n")
    assert run.caller.calls[-1].agent.system_prompt == "Speak Welsh. Recall A {{input.who}}."
    assert [event.payload["task"] for event in run.events("block.started")][-1] == "Use A {{input.who}} for Ann."
    assert not run.events("execution.warning")


def test_a_name_without_a_value_becomes_empty_and_a_warning() -> None:
    agent = make_agent("worker", system_prompt="{{input.gone}}{{input.too}}")
    run = Run(make_design([make_block("a", task="<{{input.gone}}>", agents=[agent])]))
    assert run.caller.prompts()[0].startswith("<>")
    [warning] = run.events("execution.warning")
    assert (warning.block_id, warning.payload["names"]) == ("a", ["input.gone", "input.too"])


# When a block starts


def test_a_block_starts_the_moment_its_last_connection_has_delivered() -> None:
    blocks = ["a", "b", "long", "after_a", "join"]
    design = make_design(blocks, [("a", "after_a"), ("after_a", "join"), ("b", "join")])
    run = Run(design, seconds=seconds_by_block(a=1, b=3, long=50, after_a=5, join=1))
    assert run.times("block.started") == {"a": 0, "b": 0, "long": 0, "after_a": 1, "join": 6}
    assert run.times("block.completed")["long"] == 50


def test_events_tell_a_block_from_its_start_to_its_end() -> None:
    caller = play({"worker": {"x": 1}}, tokens=TokenUsage(10, 5), cost=Decimal("0.010"))
    run = Run(make_design([make_block("a", task="T")]), caller=caller)
    started, begun, completed = run.events()
    assert (started.type, begun.type, begun.payload) == ("execution.started", "block.started", {"task": "T"})
    assert (completed.type, completed.block_id) == ("block.completed", "a")
    assert completed.payload == {
        "status": "completed",
        "output": {"x": 1},
        "stopped_reason": "done",
        "usage": {"calls": 1, "input_tokens": 10, "output_tokens": 5, "estimated": False},
        "cost": "0.01",
        "details": {},
        "agent_outputs": {"worker": {"x": 1}},
    }


# What an execution comes to


def test_the_result_is_the_terminal_blocks_output() -> None:
    caller = play({"worker": in_turn("one", "two")}, tokens=TokenUsage(10, 5), cost=Decimal("0.25"))
    result = Run(make_design(["a", "b"], [("a", "b")]), caller=caller).result
    assert result.result_data() == {
        "output": "two",
        "blocks": {"a": "one", "b": "two"},
        "usage": {"calls": 2, "input_tokens": 20, "output_tokens": 10, "estimated": False},
        "cost": "0.5",
    }
    assert (result.status, result.failure) == ("completed", None)


def test_several_terminal_blocks_give_a_map_by_label_without_the_skipped() -> None:
    blocks: list[Block | str] = [
        "a",
        make_block("b", label="Bee"),
        make_block("c", label="Sea", config={"on_error": "skip"}),
        "d",
    ]
    design = make_design(blocks, [("a", "b"), ("a", "c"), ("c", "d")])
    run = Run(design, lambda call: failing() if call.block_id == "c" else call.block_id)
    assert run.result.output == {"Bee": "b"}
    assert run.result.result_data()["blocks"] == {"a": "a", "b": "b"}
    assert run.statuses == {"a": "completed", "b": "completed", "c": "failed", "d": "skipped"}


def test_nothing_delivered_is_null() -> None:
    design = make_design([make_block("a", config={"on_error": "skip"}), "b"], [("a", "b")])
    run = Run(design, {"worker": failing()})
    assert (run.result.status, run.result.output) == ("completed", None)
    assert [event.type for event in run.events()][-2:] == ["block.failed", "block.skipped"]


# Dead connections


def dead_branch() -> Design:
    """`choose` calls its first agent alone when that one raises a ceiling on the second: the second did not run."""
    return make_design(
        [make_block("choose", agents=["Ann", "Bob"]), "ann", "bob", "after_bob", "join"],
        [
            make_connection("choose", "ann", source_agent="ann"),
            make_connection("choose", "bob", source_agent="bob"),
            ("bob", "after_bob"),
            ("ann", "join"),
            ("after_bob", "join"),
        ],
    )


def test_a_connection_from_an_agent_that_did_not_run_is_dead_and_so_is_all_behind_it() -> None:
    run = Run(dead_branch(), {"Bob": CeilingReached("Enough.", reason="budget"), "Ann": "chosen"})
    assert run.statuses == {
        "choose": "completed",
        "ann": "completed",
        "bob": "skipped",
        "after_bob": "skipped",
        "join": "completed",
    }
    assert run.caller.prompts("worker") == ["## choose / Ann\nchosen", "## ann\nworker of ann"]
    assert [event.block_id for event in run.events("block.skipped")] == ["bob", "after_bob"]
    assert run.result.blocks["choose"].stopped_reason == "budget"


def test_a_dead_branch_does_not_hold_up_the_join() -> None:
    run = Run(dead_branch(), {"Bob": CeilingReached("Enough.", reason="budget")})
    # Ann 1 s, Bob's refusal 1 s, then `ann`, then `join`.
    assert run.times("block.started")["join"] == 3


def test_a_chain_of_two_thousand_skipped_blocks_needs_no_recursion() -> None:
    blocks: list[Block | str] = [make_block("a", config={"on_error": "skip"}), *[f"b{i}" for i in range(1_999)]]
    design = make_design(blocks, [("a", "b0"), *[(f"b{i}", f"b{i + 1}") for i in range(1_998)]])
    run = Run(design, {"worker": failing()})
    assert list(run.statuses.values()).count("skipped") == 1_999


# Failures


def test_a_failed_block_fails_the_execution_and_cancels_its_siblings() -> None:
    design = make_design(["a", "slow", "after"], [("a", "after")])
    run = Run(design, {"a/turn/0/worker": failing()}, seconds=seconds_by_block(a=1, slow=60))
    failure = run.result.failure
    assert failure is not None
    assert (run.result.status, run.result.output) == ("failed", None)
    assert (failure.code, failure.block_id, failure.agent) == ("provider_error", "a", "worker")
    assert failure.message == "Block 'a' failed: The provider said no."
    assert failure.cause == "The provider said no."
    assert run.statuses == {"a": "failed"}
    assert run.caller.running == 0
    assert run.times("block.failed") == {"a": 1}
    assert run.events()[-1].type == "block.failed"


def test_on_error_continue_delivers_the_default_on_every_connection() -> None:
    config = {"on_error": "continue", "default_output": {"score": 0}}
    design = make_design(
        [make_block("a", config=config), "b"], [("a", "b"), make_connection("a", "b", source_agent="worker")]
    )
    run = Run(design, {"a/turn/0/worker": failing(), "worker": "fine"})
    assert (run.result.status, run.result.output) == ("completed", "fine")
    assert run.caller.prompts()[-1] == '## a\n{\n  "score": 0\n}\n\n## a / worker\n{\n  "score": 0\n}'
    assert run.result.result_data()["blocks"] == {"a": {"score": 0}, "b": "fine"}
    [failed] = run.events("block.failed")
    assert (failed.payload["on_error"], failed.payload["code"], failed.agent) == (
        "continue",
        "provider_error",
        "worker",
    )


def test_on_error_skip_leaves_what_else_feeds_a_block() -> None:
    design = make_design(
        [make_block("a", config={"on_error": "skip"}), "b", make_block("c", task="<{{blocks.a.output}}>")],
        [("a", "c"), ("b", "c")],
    )
    run = Run(design, {"a/turn/0/worker": failing(), "worker": "ok"})
    assert run.caller.prompts()[-1] == "<>\n\n## b\nok"
    assert [event.payload["names"] for event in run.events("execution.warning")] == [["blocks.a.output"]]


def pattern_error(error: Exception, code: str) -> Any:
    return pytest.param(error, code, id=f"{type(error).__name__}-{code}")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pattern_error(failing("provider_error"), "provider_error"),
        pattern_error(InvalidOutput("Bad.", code="invalid_output", block_id="a", agent="worker"), "invalid_output"),
        pattern_error(CeilingReached("No.", reason="budget"), "budget_exceeded"),
        pattern_error(CeilingReached("No.", reason="max_calls"), "budget_exceeded"),
        pattern_error(CeilingReached("No.", reason="timeout"), "timeout"),
        pattern_error(BlockFailed("Too few."), "block_failed"),
        pattern_error(RuntimeError("boom"), "internal_error"),
        pattern_error(KeyError("boom"), "internal_error"),
    ],
)
def test_each_failure_has_its_code_and_names_the_block(
    error: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(make_design([make_block("a", label="The block")]), {"worker": error})
    failure = run.result.failure
    assert failure is not None
    assert failure.code == code
    assert "'The block'" in failure.message
    logged = [record for record in caplog.records if record.exc_info]
    assert bool(logged) == (code == "internal_error")
    if code == "internal_error":
        assert "boom" not in failure.message


def test_of_two_blocks_that_fail_at_once_the_first_is_the_failure() -> None:
    run = Run(make_design(["a", "b"]), {"worker": failing()})
    assert run.result.failure is not None
    assert run.result.failure.block_id == "a"
    assert [event.block_id for event in run.events("block.failed")] == ["a"]


def test_a_cancellation_that_escapes_from_a_library_is_a_failure_not_a_vanished_block() -> None:
    def leak(call: AgentCall) -> None:
        raise asyncio.CancelledError

    run = Run(make_design(["a", "b"], [("a", "b")]), {"a/turn/0/worker": leak})
    assert run.result.failure is not None
    assert (run.result.failure.code, run.result.failure.block_id) == ("internal_error", "a")


def test_a_block_timeout_is_a_deadline_by_the_clock() -> None:
    design = make_design(["a", make_block("b", config={"timeout_seconds": 7}), "c"], [("a", "b"), ("b", "c")])
    run = Run(design, seconds=seconds_by_block(a=4))
    assert [call.deadline for call in run.caller.calls] == [None, 11.0, None]


# Adding a pattern


class EchoConfig(BlockConfig):
    """Nothing of its own."""


async def echo(run: BlockRun[EchoConfig]) -> BlockOutcome:
    values = [delivery.value for delivery in run.input.shared]
    return BlockOutcome(output=list(values), agent_outputs={}, details={"echo": True})


def check_nothing(block: Block, config: EchoConfig) -> list[Any]:
    return []


def test_whatever_pattern_is_registered_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATTERNS, "echo", Pattern(config=EchoConfig, check=check_nothing, run=echo))
    run = Run(make_design([make_block("a", "echo", agents=[])]), input_data={"x": 1})
    assert run.result.output == [{"x": 1}]
    assert run.result.usage.calls == 0


def test_a_task_that_outgrows_its_bound_fails_its_block() -> None:
    block = make_block("a", task="{{input.a}}" * 400)
    run = Run(make_design([block]), input_data={"a": "x" * 100_000})
    assert run.statuses == {"a": "failed"}
    assert [event.payload["code"] for event in run.events("block.failed")] == ["block_failed"]
    assert run.caller.calls == []
