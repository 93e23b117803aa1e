"""One block's run: its templates filled, its pattern run, its beginning and end recorded once."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from executor.clock import Clock
from executor.errors import (
    AgentCallFailed,
    BlockFailed,
    Ceiling,
    CeilingReached,
    JournalClosed,
    PayloadExceeded,
)
from executor.events import Event, EventType
from executor.journal import Journal
from executor.json_types import Json, JsonObject
from executor.patterns import PATTERNS
from executor.patterns.contract import BlockInput, BlockOutcome, BlockRun, Caller
from executor.payload import Payload, size_of, text_size
from executor.results import PAYLOAD_EXCEEDED, BlockResult, ExecutionFailure
from executor.spec import Block
from executor.templates import Filling

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlockEnd:
    """How a block ended and what its connections carry: `agent_outputs` by agent id, or one value for them all."""

    result: BlockResult
    agent_outputs: dict[str, Json] = field(default_factory=dict)
    failure: ExecutionFailure | None = None


AnyRun = BlockRun[Any]
#: The codes of failures; of a ceiling that is not among them it is `budget_exceeded`.
CODES_OF_CEILINGS: dict[Ceiling, str] = {"timeout": "timeout", "daily_budget": "daily_budget_exceeded"}
SKIPPED = BlockEnd(BlockResult("skipped"))


class BlockExecutor:
    """Runs the blocks of one execution, each at most once over all of its attempts."""

    def __init__(
        self, *, caller: Caller, journal: Journal, clock: Clock, input_data: JsonObject, payload: Payload
    ) -> None:
        self._payload = payload
        self._caller = caller
        self._journal = journal
        self._clock = clock
        self._input_data = input_data

    def recorded_end(self, block: Block) -> BlockEnd | None:
        """How the block ended in an earlier attempt."""
        if (completed := self._journal.event_of("block.completed", block.id)) is not None:
            return _read_completed(completed.event.payload)
        if (failed := self._journal.event_of("block.failed", block.id)) is not None:
            return _end_of_failure(block, _read_failure(failed.event))
        return None

    def skip(self, block: Block) -> BlockEnd:
        """None of the block's connections carries anything, so it does not run."""
        if self._journal.event_of("block.skipped", block.id) is None:
            self._append("block.skipped", block, {"reason": "Nothing reached this block."})
        return SKIPPED

    async def execute(self, block: Block, block_input: BlockInput, outputs: Mapping[str, Json]) -> BlockEnd:
        """Run the block on what has reached it. `outputs` is what the blocks before it delivered, by id.

        A failure is returned, not raised, and is not recorded yet. Raises `JournalClosed`.
        """
        try:
            run, outcome = await self._run(block, block_input, outputs)
        except JournalClosed:
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled this block: a library let its own cancellation escape, and the block would vanish.
            return _end_of_failure(block, _failure_from(block, error))
        except Exception as error:  # noqa: BLE001 - whatever a pattern raises ends its block and no other
            return _end_of_failure(block, _failure_from(block, error))
        return self._complete(block, run, outcome)

    def record_failure(self, block: Block, failure: ExecutionFailure) -> None:
        """Record that the block failed, why, and what is done about it."""
        payload: JsonObject = {
            "code": failure.code,
            "message": failure.message,
            "cause": failure.cause,
            "on_error": "fail" if failure.ends_execution else block.data.config.on_error,
        }
        self._append("block.failed", block, payload, agent=failure.agent)

    async def _run(
        self, block: Block, block_input: BlockInput, outputs: Mapping[str, Json]
    ) -> tuple[AnyRun, BlockOutcome]:
        filling = Filling(input_data=self._input_data, block_outputs=outputs)
        task = filling.fill(block.data.task)
        block = _fill_system_prompts(block, filling)
        size = text_size(task) + sum(text_size(agent.system_prompt) for agent in block.agents)
        with self._payload.holding(size, f"the task and the system prompts of block {block.label!r}"):
            run = self._start(block, block_input, filling, task)
            outcome = await PATTERNS[block.type].run(run)
            self._payload.hold(size_of(outcome.output), f"the output of block {block.label!r}")
        return run, outcome

    def _start(self, block: Block, block_input: BlockInput, filling: Filling, task: str) -> AnyRun:
        if self._journal.event_of("block.started", block.id) is None:
            self._append("block.started", block, {"task": task})
        if filling.missing:
            self._warn_of_missing(block, list(filling.missing))
        config = block.data.config
        seconds = config.timeout_seconds
        return BlockRun(
            block=block,
            config=config,
            task=task,
            input=block_input,
            caller=self._caller,
            deadline=None if seconds is None else self._clock.monotonic() + seconds,
        )

    def _warn_of_missing(self, block: Block, names: list[str]) -> None:
        if self._journal.event_of("execution.warning", block.id) is not None:
            return
        message = f"Block {block.label!r} uses names that have no value here: {', '.join(names)}. They are left empty."
        payload: JsonObject = {"code": "missing_template_value", "message": message, "names": list(names)}
        self._append("execution.warning", block, payload)

    def _complete(self, block: Block, run: AnyRun, outcome: BlockOutcome) -> BlockEnd:
        usage = run.usage
        payload: JsonObject = {
            "status": "completed",
            "output": outcome.output,
            "stopped_reason": outcome.stopped_reason,
            "usage": usage.counts(),
            "cost": usage.cost_text(),
            "details": outcome.details,
            "agent_outputs": outcome.agent_outputs,
        }
        self._append("block.completed", block, payload)
        result = BlockResult("completed", delivered=True, output=outcome.output, stopped_reason=outcome.stopped_reason)
        return BlockEnd(result, outcome.agent_outputs)

    def _append(self, event_type: EventType, block: Block, payload: JsonObject, *, agent: str | None = None) -> None:
        self._journal.append(Event(event_type, self._clock.now(), block.id, agent, None, payload))


def _fill_system_prompts(block: Block, filling: Filling) -> Block:
    if not any("{{" in agent.system_prompt for agent in block.agents):
        return block
    agents = [agent.model_copy(update={"system_prompt": filling.fill(agent.system_prompt)}) for agent in block.agents]
    return block.model_copy(update={"data": block.data.model_copy(update={"agents": tuple(agents)})})


def _end_of_failure(block: Block, failure: ExecutionFailure) -> BlockEnd:
    config = block.data.config
    delivered = config.on_error == "continue" and not failure.ends_execution
    output = config.default_output if delivered else None
    return BlockEnd(BlockResult("failed", delivered, output), failure=failure)


def _failure_from(block: Block, error: BaseException) -> ExecutionFailure:
    code, agent = "internal_error", None
    match error:
        case AgentCallFailed() | BlockFailed():
            code, agent = error.code, error.agent
        case CeilingReached():
            code = CODES_OF_CEILINGS.get(error.reason, "budget_exceeded")
        case PayloadExceeded():
            code = PAYLOAD_EXCEEDED
        case _:
            log.error("Block %r failed inside its pattern %r", block.id, block.type, exc_info=error)
            message = f"Block {block.label!r} failed inside the engine; the log has the details."
            return ExecutionFailure(code, message, block.id, cause=type(error).__name__)
    return ExecutionFailure(code, f"Block {block.label!r} failed: {error}", block.id, agent, str(error))


def _read_completed(payload: JsonObject) -> BlockEnd:
    reason = cast(str, payload["stopped_reason"])
    result = BlockResult("completed", delivered=True, output=payload["output"], stopped_reason=reason)
    return BlockEnd(result, cast(dict[str, Json], payload["agent_outputs"]))


def _read_failure(event: Event) -> ExecutionFailure:
    payload = cast(dict[str, str], event.payload)
    cause = payload.get("cause")
    return ExecutionFailure(payload["code"], payload["message"], event.block_id or "", event.agent, cause)
