"""What failed requests count for: nothing after a refusal, all that was reserved once the provider may have worked."""

from collections.abc import Iterable
from decimal import Decimal

import pytest

from executor.budget import Amount, Limits
from executor.errors import CeilingReached, ProviderFailed
from executor.events import RecordedEvent
from executor.providers.contract import ModelCallError
from executor.tests.models import Reply, Slow, Stalled, Streamed, broken_off, busy, refused
from executor.tests.orchestration import Rig, make_call
from executor.tests.test_calls_over_http import running

#: One request of `make_call("abc", max_output_tokens=50)`: one token in, 50 out, 3 and 15 USD a million.
RESERVED = Amount(1, 51, Decimal("0.000753"))
ANSWERED = Amount(1, 120, Decimal("0.0006"))


async def used_after(recorded: Iterable[RecordedEvent]) -> Amount:
    """What a run that resumes from these events counts before it sends anything."""
    rig = Rig({}, recorded=recorded)
    await rig.orchestrator.restore()
    return rig.budget.used


@pytest.mark.parametrize("lost", [Stalled(), broken_off(), Slow(31, "late")], ids=["stalled", "broken off", "late"])
async def test_a_request_that_may_be_charged_keeps_its_reservation_beside_the_answer(lost: Reply) -> None:
    rig = Rig({"scripted:first": [lost, "ok"]})
    step = await rig.orchestrator.call(make_call("abc", max_output_tokens=50, timeout_seconds=30))
    assert rig.budget.used == RESERVED.plus(ANSWERED) == await used_after(rig.memory.events)
    assert (step.usage.input_tokens, step.usage.output_tokens, step.cost) == (100, 20, ANSWERED.cost)
    [completed] = rig.payloads("agent.completed")
    assert completed["unanswered"] == {"calls": 0, "tokens": 51, "cost": "0.000753"}


async def test_a_refusal_counts_as_a_call_and_no_more() -> None:
    rig = Rig({"scripted:first": [busy(), busy(), "ok"]})
    await rig.orchestrator.call(make_call("abc", max_output_tokens=50))
    assert rig.budget.used == Amount(2).plus(ANSWERED) == await used_after(rig.memory.events)
    assert "unanswered" not in rig.payloads("agent.completed")[0]


async def test_a_refusal_in_the_middle_of_an_answer_keeps_its_reservation() -> None:
    rig = Rig({"scripted:first": [Streamed(("Half",), busy()), busy(), "ok"]}, live=True)
    await rig.orchestrator.call(make_call("abc", max_output_tokens=50))
    assert rig.budget.used == RESERVED.plus(Amount(1)).plus(ANSWERED) == await used_after(rig.memory.events)


async def test_a_call_that_fails_for_good_stays_counted_with_all_its_reservations() -> None:
    rig = Rig({"scripted:first": [broken_off(), busy()], "scripted:second": [broken_off(), refused()]})
    with pytest.raises(ProviderFailed):
        await rig.orchestrator.call(make_call("abc", max_output_tokens=50, tries=2, fallbacks=("scripted:second",)))
    assert rig.budget.used == Amount(4, 102, Decimal("0.001506")) == await used_after(rig.memory.events)


async def test_a_retry_announces_all_that_its_key_counts_for_until_there_is_a_result() -> None:
    rig = Rig({"scripted:first": [broken_off(), broken_off(), ZeroDivisionError("The process dies here.")]})
    with pytest.raises(ZeroDivisionError):
        await rig.orchestrator.call(make_call("abc", max_output_tokens=50))
    reserved = [payload["reserved"] for payload in rig.payloads("agent.retrying")]
    assert reserved == [
        {"calls": 2, "tokens": 102, "cost": "0.001506"},
        {"calls": 3, "tokens": 153, "cost": "0.002259"},
    ]
    assert rig.budget.used == Amount(3, 153, Decimal("0.002259")) == await used_after(rig.memory.events)


async def test_an_unknown_price_stays_unknown_in_what_is_announced() -> None:
    rig = Rig({"scripted:first": [broken_off(), broken_off(), "ok"]}, prices={})
    await rig.orchestrator.call(make_call("abc", max_output_tokens=50))
    assert [payload["reserved"]["cost"] for payload in rig.payloads("agent.retrying")] == [None, None]  # type: ignore[index, call-overload]  # JSON
    assert rig.budget.used == Amount(3, 222) == await used_after(rig.memory.events)


@pytest.mark.parametrize(
    "limits", [Limits(max_tokens=110), Limits(max_cost=Decimal("0.0016"))], ids=["tokens", "money"]
)
async def test_tries_and_fallbacks_that_break_off_cannot_overshoot_a_ceiling(limits: Limits) -> None:
    rig = Rig(lambda _name, _request: broken_off(), limits=limits)
    with pytest.raises(CeilingReached) as reached:
        await rig.orchestrator.call(make_call("abc", max_output_tokens=50, tries=3, fallbacks=("scripted:second",)))
    assert reached.value.reason == "budget"
    assert len(rig.models.requests) == 2


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("words", ["stall-1", "cut-1", "garbage-1"])
async def test_over_http_an_answer_that_did_not_come_whole_keeps_its_reservation(words: str, *, live: bool) -> None:
    async with running(live=live) as run:
        call = make_call("abc", model=f"local:{words}", max_output_tokens=50, timeout_seconds=0.5)
        step = await run.orchestrator.call(call)
    answered = step.usage.input_tokens + step.usage.output_tokens
    assert step.tries == 2
    assert run.budget.used.tokens == 51 + answered
    assert run.budget.used == await used_after(run.journal.events)


@pytest.mark.parametrize("words", ["status-429-1", "status-500-1"])
async def test_over_http_a_refused_request_keeps_nothing(words: str) -> None:
    async with running() as run:
        step = await run.orchestrator.call(make_call("abc", model=f"local:{words}", max_output_tokens=50))
    assert run.budget.used.tokens == step.usage.input_tokens + step.usage.output_tokens
    assert run.budget.used == await used_after(run.journal.events)


async def test_over_http_a_server_that_cannot_be_reached_keeps_nothing() -> None:
    async with running() as run:
        await run.server.__aexit__(None, None, None)
        with pytest.raises(ProviderFailed, match="could not be reached"):
            await run.orchestrator.call(make_call("abc", tries=2))
    assert run.budget.used == Amount(2)


def test_a_failure_that_says_nothing_of_it_may_be_charged() -> None:
    assert ModelCallError("What was that?", retryable=True).may_be_charged
