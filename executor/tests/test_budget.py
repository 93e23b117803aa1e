"""The budget's promises: reserved before, settled after, and never overshot by calls that run side by side."""

import asyncio
from decimal import Decimal

import pytest

from executor.budget import Amount, ExecutionBudget, Limits
from executor.errors import CeilingReached


async def reserved(budget: ExecutionBudget, amount: Amount) -> bool:
    await asyncio.sleep(0)
    try:
        await budget.reserve(amount)
    except CeilingReached:
        return False
    await asyncio.sleep(0)
    await budget.settle(amount, amount)
    return True


async def test_twenty_parallel_reservations_against_seven_calls_let_exactly_seven_through() -> None:
    budget = ExecutionBudget(Limits(max_calls=7))
    outcomes = await asyncio.gather(*(reserved(budget, Amount(calls=1)) for _ in range(20)))
    assert sum(outcomes) == 7
    assert budget.used.calls == 7


async def test_parallel_reservations_never_overshoot_the_tokens() -> None:
    budget = ExecutionBudget(Limits(max_tokens=1_000))
    outcomes = await asyncio.gather(*(reserved(budget, Amount(1, 300)) for _ in range(20)))
    assert sum(outcomes) == 3
    assert budget.used.tokens == 900


async def test_parallel_reservations_never_overshoot_the_money() -> None:
    budget = ExecutionBudget(Limits(max_cost=Decimal("0.50")))
    outcomes = await asyncio.gather(*(reserved(budget, Amount(1, 10, Decimal("0.20"))) for _ in range(20)))
    assert sum(outcomes) == 2
    assert budget.used.cost == Decimal("0.40")


async def test_what_settles_lower_leaves_room_for_the_next_call() -> None:
    budget = ExecutionBudget(Limits(max_tokens=1_000))
    await budget.reserve(Amount(1, 900))
    with pytest.raises(CeilingReached, match="100 of 1000 are left"):
        await budget.reserve(Amount(1, 900))
    await budget.settle(Amount(1, 900), Amount(1, 50))
    await budget.reserve(Amount(1, 900))
    assert budget.used == Amount(2, 950)


async def test_what_settles_higher_is_counted_in_full() -> None:
    budget = ExecutionBudget(Limits(max_tokens=1_000))
    await budget.reserve(Amount(1, 100))
    await budget.settle(Amount(1, 100), Amount(1, 5_000, Decimal(1)))
    assert budget.used == Amount(1, 5_000, Decimal(1))
    with pytest.raises(CeilingReached) as reached:
        await budget.reserve(Amount(1, 1))
    assert reached.value.reason == "budget"


async def test_a_refused_reservation_sets_nothing_aside() -> None:
    budget = ExecutionBudget(Limits(max_calls=5, max_tokens=10))
    with pytest.raises(CeilingReached):
        await budget.reserve(Amount(1, 11))
    assert budget.used == Amount()


async def test_each_ceiling_is_named() -> None:
    with pytest.raises(CeilingReached) as calls:
        await ExecutionBudget(Limits(max_calls=0)).reserve(Amount(1))
    with pytest.raises(CeilingReached) as money:
        await ExecutionBudget(Limits(max_cost=Decimal(1))).reserve(Amount(1, 1, Decimal(2)))
    assert (calls.value.reason, money.value.reason) == ("max_calls", "budget")


async def test_an_unpriced_model_is_refused_under_a_limit_of_cost_and_free_without_one() -> None:
    unpriced = Amount(1, 10, None)
    with pytest.raises(CeilingReached, match="price is not known"):
        await ExecutionBudget(Limits(max_cost=Decimal(5))).reserve(unpriced)
    budget = ExecutionBudget(Limits(max_calls=1))
    await budget.reserve(unpriced)
    await budget.settle(unpriced, unpriced)
    assert budget.used == Amount(1, 10, Decimal(0))


async def test_without_limits_everything_fits() -> None:
    budget = ExecutionBudget(Limits())
    await budget.reserve(Amount(10**9, 10**12, Decimal(10**9)))
    assert budget.used.calls == 10**9
