"""A budget that executions share: what one budget refuses neither sets aside, and what never goes out is given back."""

import pytest

from executor.budget import Amount, ExecutionBudget, Limits, SharedBudget
from executor.errors import CeilingReached, JournalClosed
from executor.journal import InMemoryJournal
from executor.orchestrator import MultiAgentOrchestrator
from executor.tests.clocks import FakeClock
from executor.tests.models import ScriptedModels
from executor.tests.orchestration import make_call


def budgets(own: Limits, shared: Limits) -> tuple[ExecutionBudget, ExecutionBudget, SharedBudget]:
    first, second = ExecutionBudget(own), ExecutionBudget(shared)
    return first, second, SharedBudget(first, second)


@pytest.mark.parametrize(
    ("own", "shared"), [(Limits(max_tokens=10), Limits()), (Limits(), Limits(max_tokens=10))], ids=["own", "shared"]
)
async def test_what_one_refuses_neither_sets_aside(own: Limits, shared: Limits) -> None:
    first, second, both = budgets(own, shared)
    with pytest.raises(CeilingReached):
        await both.reserve(Amount(1, 11))
    assert first.used == second.used == Amount()


async def test_both_are_settled() -> None:
    first, second, both = budgets(Limits(), Limits())
    reserved = await both.reserve(Amount(1, 100))
    await both.settle(reserved, Amount(1, 30))
    assert first.used == second.used == Amount(1, 30)


class NotOurs(InMemoryJournal):
    """The journal of an execution that another worker has claimed."""

    async def flush(self) -> None:
        raise JournalClosed("Another worker has claimed it.")


async def test_a_request_that_another_worker_is_to_make_is_given_back() -> None:
    first, second, both = budgets(Limits(), Limits())
    clock = FakeClock()
    models = ScriptedModels({"scripted:first": ["never asked"]}, clock=clock)
    orchestrator = MultiAgentOrchestrator(models=models, journal=NotOurs(), budget=both, clock=clock)
    with pytest.raises(JournalClosed):
        await orchestrator.call(make_call("abc"))
    assert first.used == second.used == Amount()
