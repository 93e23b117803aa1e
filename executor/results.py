"""What an execution comes to."""

from dataclasses import dataclass, field
from typing import Literal

from executor.json_types import Json, JsonObject
from executor.usage import Usage

PAYLOAD_EXCEEDED = "payload_exceeded"


@dataclass(frozen=True)
class ExecutionFailure:
    """Why an execution failed.

    `code` is stable (`provider_error`, `invalid_output`, `budget_exceeded`, `daily_budget_exceeded`, `timeout`,
    `payload_exceeded`, `block_failed`, `internal_error`); `message` is a sentence that names the block; `agent` is a
    name; `cause` is what the block said. `block_id` is empty where no block is to blame.
    """

    code: str
    message: str
    block_id: str
    agent: str | None = None
    cause: str | None = None

    @property
    def ends_execution(self) -> bool:
        """Whether nothing goes on after it, whatever the block's `on_error` says."""
        return self.code == PAYLOAD_EXCEEDED


@dataclass(frozen=True)
class BlockResult:
    """How one block ended. `output` is what it delivered: a failed block that delivers its default has one too."""

    status: Literal["completed", "failed", "skipped"]
    delivered: bool = False
    output: Json = None
    stopped_reason: str | None = None


@dataclass(frozen=True)
class ExecutionResult:
    """How an execution ended. `blocks` is by block id, in the design's order, and holds what has ended by then.

    `output` is the terminal block's output; with several terminal blocks a map by their labels, without those that
    delivered nothing; null when none delivered. A failed execution has none.
    """

    status: Literal["completed", "failed"]
    output: Json
    blocks: dict[str, BlockResult]
    usage: Usage
    failure: ExecutionFailure | None = field(default=None)

    def result_data(self) -> JsonObject:
        """`{"output", "blocks", "usage", "cost"}`: `blocks` holds what was delivered, by block id."""
        return {
            "output": self.output,
            "blocks": {block_id: block.output for block_id, block in self.blocks.items() if block.delivered},
            "usage": self.usage.counts(),
            "cost": self.usage.cost_text(),
        }
