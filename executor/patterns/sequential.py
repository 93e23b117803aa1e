"""Sequential: agents in listed order, each given the task and what the agents before it wrote."""

from typing import Annotated, Literal

from pydantic import Field

from executor.calls import Step
from executor.errors import CeilingReached, Problem
from executor.patterns.contract import BlockOutcome, BlockRun, Pattern
from executor.prompts import Delivery
from executor.spec import Block, BlockConfig, Name


class SequentialConfig(BlockConfig):
    """What of the earlier agents' work each agent sees."""

    context: Literal["last", "all"] | Annotated[tuple[Name, ...], Field(min_length=1, max_length=50)] = Field(
        default="last",
        description="last: the previous agent's output. all: every earlier one's. Or their names.",
    )


def check(block: Block, config: SequentialConfig) -> list[Problem]:
    if not block.agents:
        return [Problem("/data/agents", "too_few_agents", "A sequential block needs at least one agent.")]
    if isinstance(config.context, str):
        return []
    names = [agent.name for agent in block.agents]
    return [
        Problem(f"/data/config/context/{index}", "unknown_agent", f"No agent of this block is named {name!r}.")
        for index, name in enumerate(config.context)
        if name not in names
    ]


async def run(run: BlockRun[SequentialConfig]) -> BlockOutcome:
    done: list[Step] = []
    try:
        for agent in run.agents:
            prompt = run.prompt(agent, material=_visible(run.config, done))
            done.append(await run.call(agent, prompt, phase="turn"))
    except CeilingReached as ceiling:
        if not done:
            raise
        return _outcome(done, ceiling.reason)
    return _outcome(done, "done")


def _visible(config: SequentialConfig, done: list[Step]) -> list[Delivery]:
    if config.context == "last":
        chosen = done[-1:]
    elif config.context == "all":
        chosen = done
    else:
        chosen = [step for step in done if step.agent in config.context]
    return [Delivery(step.agent, step.output) for step in chosen]


def _outcome(done: list[Step], stopped_reason: str) -> BlockOutcome:
    outputs = {step.agent_id: step.output for step in done}
    return BlockOutcome(output=done[-1].output, agent_outputs=outputs, stopped_reason=stopped_reason)


PATTERN = Pattern(config=SequentialConfig, check=check, run=run)
