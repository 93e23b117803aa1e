"""Ceilings on calls, tokens and money: reserved before a call, settled after it.

Because the whole of what a call may use is reserved first, parallel branches cannot overshoot together.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from executor.errors import CeilingReached


@dataclass(frozen=True)
class Amount:
    """An amount of what is limited. `cost` is USD; None where the model's price is not known."""

    calls: int = 0
    tokens: int = 0
    cost: Decimal | None = Decimal(0)

    def plus(self, other: "Amount") -> "Amount":
        """Both together. A cost that is not known counts as nothing, unless neither is known."""
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Amount(self.calls + other.calls, self.tokens + other.tokens, sum(costs, Decimal(0)) if costs else None)


@dataclass(frozen=True)
class Limits:
    """The ceilings of one execution; None means no ceiling of that kind. `max_cost` is USD.

    `max_payload_bytes` is not for a budget to keep, but for a `Payload`: it is held, not used up.
    """

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: Decimal | None = None
    max_payload_bytes: int | None = None


class Budget(Protocol):
    """Counts what an execution uses against what it may use."""

    async def restore(self, used: Amount) -> None:
        """Take in what earlier attempts of the execution have used, reservations without an outcome included."""

    async def reserve(self, amount: Amount) -> Amount:
        """Set the amount aside, and return what `settle` is to be told of.

        Raises `CeilingReached` (and sets nothing aside) when it does not fit.
        """

    async def settle(self, reserved: Amount, used: Amount) -> None:
        """Replace a reservation by what was really used, which may be more or less than it."""


class ExecutionBudget:
    """The budget of one execution, in memory. No await stands between the check and the count, so it is exact."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.used = Amount()

    async def restore(self, used: Amount) -> None:
        await self.settle(Amount(), used)

    async def reserve(self, amount: Amount) -> Amount:
        total = self.used.plus(amount)
        limits = self.limits
        if limits.max_calls is not None and total.calls > limits.max_calls:
            raise CeilingReached(f"The limit of {limits.max_calls} calls is used up.", reason="max_calls")
        if limits.max_tokens is not None and total.tokens > limits.max_tokens:
            raise CeilingReached(
                f"The next call could need {amount.tokens} tokens; {limits.max_tokens - self.used.tokens} of"
                f" {limits.max_tokens} are left.",
                reason="budget",
            )
        if limits.max_cost is not None:
            self._check_cost(amount, total, limits.max_cost)
        self.used = total
        return amount

    async def settle(self, reserved: Amount, used: Amount) -> None:
        self.used = Amount(
            calls=self.used.calls - reserved.calls + used.calls,
            tokens=self.used.tokens - reserved.tokens + used.tokens,
            cost=(self.used.cost or Decimal(0)) - (reserved.cost or Decimal(0)) + (used.cost or Decimal(0)),
        )

    def _check_cost(self, amount: Amount, total: Amount, max_cost: Decimal) -> None:
        if amount.cost is None:
            raise CeilingReached(
                "The execution has a limit on its cost, and the model's price is not known.", reason="budget"
            )
        if (total.cost or Decimal(0)) > max_cost:
            raise CeilingReached(
                f"The next call could cost {amount.cost} USD; {max_cost - (self.used.cost or Decimal(0))} of"
                f" {max_cost} USD are left.",
                reason="budget",
            )


class SharedBudget:
    """An execution's own budget, and one that it shares with others: what one of them refuses, neither sets aside."""

    def __init__(self, own: Budget, shared: Budget) -> None:
        self._own = own
        self._shared = shared

    async def restore(self, used: Amount) -> None:
        await self._own.restore(used)
        await self._shared.restore(used)

    async def reserve(self, amount: Amount) -> Amount:
        own = await self._own.reserve(amount)
        try:
            return await self._shared.reserve(amount)
        except BaseException:
            await self._own.settle(own, Amount())
            raise

    async def settle(self, reserved: Amount, used: Amount) -> None:
        await self._own.settle(reserved, used)
        await self._shared.settle(reserved, used)
