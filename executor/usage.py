"""Adding up what an execution has used."""

from dataclasses import dataclass
from decimal import Decimal

from executor.json_types import JsonObject
from executor.providers.contract import TokenUsage


@dataclass(frozen=True)
class Usage:
    """Calls, tokens and money of some calls together. `cost` (USD) is None once one of them has no known price."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False
    cost: Decimal | None = Decimal(0)

    def plus_call(self, tokens: TokenUsage, cost: Decimal | None, *, calls: int = 1) -> "Usage":
        return self.plus(Usage(calls, tokens.input_tokens, tokens.output_tokens, tokens.estimated, cost))

    def plus(self, other: "Usage") -> "Usage":
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            estimated=self.estimated or other.estimated,
            cost=None if self.cost is None or other.cost is None else self.cost + other.cost,
        )

    def counts(self) -> JsonObject:
        """`{calls, input_tokens, output_tokens, estimated}`, as results and the API show it."""
        return {
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "estimated": self.estimated,
        }

    def cost_text(self) -> str | None:
        """The cost in USD as a plain decimal string, None when it is not known."""
        return None if self.cost is None else format(self.cost.normalize(), "f")
