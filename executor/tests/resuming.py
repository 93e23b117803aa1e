"""Running a block with the real orchestrator, and resuming it from every point at which it could have been cut off."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from executor.budget import Limits
from executor.errors import ExecutorError
from executor.events import RecordedEvent
from executor.patterns import PATTERNS
from executor.patterns.contract import BlockInput, BlockOutcome, BlockRun
from executor.providers.contract import ModelRequest
from executor.spec import Agent, Block, BlockConfig
from executor.tests.models import Reply
from executor.tests.orchestration import Rig

Answers = Callable[[str, ModelRequest], Reply]


@dataclass(frozen=True)
class Ending:
    """How a run of a block ended: its outcome or its error, the calls it is made of, and the events recorded."""

    outcome: BlockOutcome | str
    steps: tuple[str, ...]
    events: tuple[RecordedEvent, ...]


def with_own_models(agents: Iterable[Agent]) -> list[Agent]:
    """The agents, each on the model `scripted:<name>` with one try, so that the script can tell who asks."""
    own = [{"model": f"scripted:{agent.name}", "settings": {"tries": 1}} for agent in agents]
    return [Agent.model_validate(agent.model_dump() | fields) for agent, fields in zip(agents, own, strict=True)]


async def run_on(
    recorded: Sequence[RecordedEvent],
    block: Block,
    answers: Answers,
    block_input: BlockInput | None = None,
    max_calls: int | None = None,
) -> Ending:
    """Run the block on what is recorded. `answers` gets the agent's name and the request."""
    rig = Rig(
        lambda model, request: answers(model.removeprefix("scripted:"), request),
        recorded=recorded,
        limits=Limits(max_calls=max_calls),
    )
    await rig.orchestrator.restore()
    run: BlockRun[BlockConfig] = BlockRun(
        block, block.data.config, block.data.task, block_input or BlockInput(), rig.orchestrator
    )
    outcome: BlockOutcome | str
    try:
        outcome = await PATTERNS[block.type].run(run)
    except ExecutorError as error:
        outcome = f"{type(error).__name__}: {error}"
    return Ending(outcome, tuple(sorted(step.key for step in run.steps)), tuple(rig.memory.events))


async def check_resumes_from_every_prefix(
    block: Block, answers: Answers, block_input: BlockInput | None = None, *, max_calls: int | None = None
) -> Ending:
    """Run the block, then resume it from each prefix of its record: it ends alike, and repeats no recorded call.

    Returns the first run's ending. Under `max_calls`, a prefix with a call of unknown outcome is left out: that call
    stays counted, so the ceiling rightly comes earlier.
    """
    first = await run_on((), block, answers, block_input, max_calls)
    for length in range(len(first.events) + 1):
        prefix = first.events[:length]
        started, ended = _keys(prefix, "agent.started"), _keys(prefix, "agent.completed", "agent.failed")
        if max_calls is not None and started != ended:
            continue
        resumed = await run_on(prefix, block, answers, block_input, max_calls)
        assert resumed.outcome == first.outcome, f"resumed after {length} events"
        assert resumed.steps == first.steps, f"resumed after {length} events"
        assert not ended & _keys(resumed.events[length:], "agent.started")
    return first


def _keys(events: Iterable[RecordedEvent], *types: str) -> set[str | None]:
    return {entry.event.key for entry in events if entry.event.type in types}
