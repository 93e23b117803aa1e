"""One agent call, as patterns ask for it and as they get it back."""

from dataclasses import dataclass
from decimal import Decimal

from executor.json_types import Json, JsonObject
from executor.providers.contract import TokenUsage
from executor.spec import Agent


@dataclass(frozen=True)
class AgentCall:
    """What a pattern asks of an agent.

    `phase` and `round` make the checkpoint's key, so they have to differ between two calls of one agent. `deadline`
    is by the clock's `monotonic`. With a `schema` (the pattern's decision, else the agent's own `output_schema`) the
    answer has to be JSON that satisfies it, and `Step.output` is that value; without, it is the text.
    """

    block_id: str
    agent: Agent
    phase: str
    round: int
    prompt: str
    schema: JsonObject | None = None
    deadline: float | None = None

    @property
    def key(self) -> str:
        """`block/phase/round/agent`; a repair adds its number (`/1`, `/2`)."""
        return f"{self.block_id}/{self.phase}/{self.round}/{self.agent.id}"


@dataclass(frozen=True)
class Step:
    """One finished agent call with all its repairs: a line of the trace.

    `agent` is its name. `position` is the place of its result in the journal: joins follow it. `tries` counts the
    requests sent. `cost` is USD, None when the price is not known. A step read from the journal has `replayed` set; one
    that another execution has paid for has `reused` set, too.
    """

    key: str
    block_id: str
    agent_id: str
    agent: str
    phase: str
    round: int
    prompt: str
    output: Json
    text: str
    model: str
    usage: TokenUsage
    cost: Decimal | None
    duration_ms: int
    tries: int
    position: int
    replayed: bool = False
    reused: bool = False
    error: str | None = None


def ceiling_key(block_id: str) -> str:
    """Where a block's run records the ceiling it met. From then on nothing of the block is asked that has no result."""
    return f"{block_id}/ceiling"
