"""What the engine does about requests that fail: tries, waits, fallbacks, time limits."""

import asyncio
from typing import Any

import pytest

from executor.budget import Amount
from executor.errors import CeilingReached, ProviderFailed
from executor.providers.contract import ModelCallError
from executor.tests.models import Reply, Slow, Stalled, busy, refused
from executor.tests.orchestration import Rig, make_call

NEVER: Any = AssertionError("This model must not be asked.")


async def test_each_wait_doubles_and_loses_up_to_half_of_itself() -> None:
    rig = Rig({"scripted:first": [busy()] * 9 + ["ok"]})
    step = await rig.orchestrator.call(make_call(tries=10))
    assert step.tries == 10
    longest = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert all(most / 2 <= wait <= most for wait, most in zip(rig.clock.slept, longest, strict=True))


async def test_waits_are_the_same_for_the_same_key_and_spread_over_keys() -> None:
    async def waits(number: int) -> tuple[float, ...]:
        rig = Rig({"scripted:first": [busy(), busy(), "ok"]})
        await rig.orchestrator.call(make_call(number=number))
        return tuple(rig.clock.slept)

    assert await waits(1) == await waits(1)
    assert len({await waits(number) for number in range(20)}) == 20


async def test_every_retry_is_announced_with_its_reason_and_its_wait() -> None:
    rig = Rig({"scripted:first": [busy(retry_after=7), "ok"]})
    await rig.orchestrator.call(make_call("abc", max_output_tokens=50))
    [payload] = rig.payloads("agent.retrying")
    assert payload == {
        "reason": "The server is busy.",
        "code": "provider_error",
        "wait_seconds": 7,
        "model": "scripted:first",
        "try": 2,
        "reserved": {"calls": 2, "tokens": 51, "cost": "0.000753"},
    }
    assert rig.keys("agent.retrying") == ["b1/turn/0/ann"]


@pytest.mark.parametrize(("asked", "waited"), [(12.0, 12.0), (3_600.0, 60.0)])
async def test_retry_after_is_honoured_up_to_a_minute(asked: float, waited: float) -> None:
    rig = Rig({"scripted:first": [busy(retry_after=asked), "ok"]})
    await rig.orchestrator.call(make_call())
    assert rig.clock.slept == [waited]


async def test_a_retry_after_of_nothing_still_backs_off() -> None:
    rig = Rig({"scripted:first": [busy(retry_after=0), "ok"]})
    await rig.orchestrator.call(make_call())
    assert rig.clock.slept[0] >= 0.25


async def test_a_retry_after_beyond_the_time_that_is_left_gives_up_at_once() -> None:
    rig = Rig({"scripted:first": [busy(retry_after=40), NEVER]}, seconds=20)
    with pytest.raises(ProviderFailed, match=r"asked to wait 40 s, and only 20 s are left"):
        await rig.orchestrator.call(make_call())
    assert rig.clock.slept == []
    assert rig.payloads("agent.failed")[0]["tries"] == 1


async def test_a_retry_after_beyond_the_time_that_is_left_lets_a_fallback_try() -> None:
    rig = Rig({"scripted:first": [busy(retry_after=40), NEVER], "scripted:second": ["ok"]}, seconds=20)
    step = await rig.orchestrator.call(make_call(fallbacks=("scripted:second",)))
    assert (step.model, step.tries) == ("scripted:second", 2)


async def test_fallbacks_are_asked_in_order_and_the_step_says_which_one_answered() -> None:
    script: dict[str, list[Reply]] = {
        "scripted:first": [busy()] * 2,
        "scripted:second": [busy()] * 2,
        "scripted:third": ["ok"],
    }
    rig = Rig(script)
    step = await rig.orchestrator.call(make_call(tries=2, fallbacks=("scripted:second", "scripted:third")))
    asked = [name for name, _ in rig.models.requests]
    assert asked == ["scripted:first"] * 2 + ["scripted:second"] * 2 + ["scripted:third"]
    assert (step.model, step.tries) == ("scripted:third", 5)
    assert [payload["model"] for payload in rig.payloads("agent.retrying")] == asked[1:]
    assert rig.payloads("agent.completed")[0]["model"] == "scripted:third"
    assert [wait == 0 for wait in rig.clock.slept] == [False, True, False, True]


async def test_a_failure_that_no_retry_mends_fails_at_once_without_a_fallback() -> None:
    rig = Rig({"scripted:first": [refused(), NEVER], "scripted:second": [NEVER]})
    with pytest.raises(
        ProviderFailed, match="'Ann' got no answer from scripted:first after 1 try: The key was refused"
    ):
        await rig.orchestrator.call(make_call(fallbacks=("scripted:second",)))
    assert len(rig.models.requests) == 1


async def test_a_failure_for_good_is_recorded_with_its_tries() -> None:
    rig = Rig({"scripted:first": [busy()] * 3})
    with pytest.raises(ProviderFailed) as failed:
        await rig.orchestrator.call(make_call())
    [payload] = rig.payloads("agent.failed")
    assert (payload["code"], payload["message"], payload["tries"]) == ("provider_error", str(failed.value), 3)
    assert payload["usage"] == {"input_tokens": 0, "output_tokens": 0, "estimated": False}
    assert rig.budget.used == Amount(3, 0)


async def test_a_model_without_an_account_fails_the_call_with_the_providers_sentence() -> None:
    rig = Rig({})
    with pytest.raises(ProviderFailed, match="There is no account for 'gone:x'") as failed:
        await rig.orchestrator.call(make_call(model="gone:x"))
    assert failed.value.code == "provider_error"
    assert rig.budget.used == Amount()


async def test_a_try_that_takes_too_long_is_cut_off_and_tried_again() -> None:
    rig = Rig({"scripted:first": [Stalled(), Slow(29, "ok")]})
    step = await rig.orchestrator.call(make_call(timeout_seconds=30))
    assert (step.output, step.tries) == ("ok", 2)
    assert rig.payloads("agent.retrying")[0]["code"] == "timeout"


async def test_tries_that_all_take_too_long_fail_as_a_timeout() -> None:
    rig = Rig({"scripted:first": [Stalled()] * 2})
    with pytest.raises(ProviderFailed, match="did not answer within 30 s") as failed:
        await rig.orchestrator.call(make_call(timeout_seconds=30, tries=2))
    assert failed.value.code == "timeout"


@pytest.mark.parametrize("owner", ["call", "execution"])
async def test_the_deadline_of_call_and_execution_ends_a_request_as_a_ceiling(owner: str) -> None:
    rig = Rig({"scripted:first": [Stalled(), NEVER]}, seconds=10 if owner == "execution" else 500)
    deadline = rig.clock.monotonic() + (10 if owner == "call" else 500)
    with pytest.raises(CeilingReached) as reached:
        await rig.orchestrator.call(make_call(timeout_seconds=120, deadline=deadline, tries=1))
    assert reached.value.reason == "timeout"
    assert rig.clock.monotonic() == 1_010
    assert rig.budget.used.tokens > 0, "what the request used is not known: its reservation stays"
    assert rig.keys("agent.completed", "agent.failed", "agent.retrying") == []


async def test_the_deadline_ends_a_wait_for_a_retry_as_a_ceiling() -> None:
    rig = Rig({"scripted:first": [busy()] * 5 + [NEVER]}, seconds=3)
    with pytest.raises(CeilingReached) as reached:
        await rig.orchestrator.call(make_call(tries=10))
    assert reached.value.reason == "timeout"
    assert rig.clock.monotonic() == 1_003
    assert rig.budget.used == Amount(len(rig.models.requests), 0)


async def test_after_the_deadline_no_request_goes_out() -> None:
    rig = Rig({"scripted:first": [NEVER]}, seconds=0)
    with pytest.raises(CeilingReached):
        await rig.orchestrator.call(make_call())
    assert rig.memory.events == []
    assert rig.budget.used == Amount()


async def test_one_slow_call_does_not_hold_up_the_others() -> None:
    rig = Rig(lambda _name, request: Slow(float(request.messages[0].text), "ok"))
    calls = [rig.orchestrator.call(make_call(str(seconds), number=seconds)) for seconds in (50, 10, 30)]
    steps = await asyncio.gather(*calls)
    assert [step.round for step in sorted(steps, key=lambda step: step.position)] == [10, 30, 50]
    assert rig.clock.monotonic() == 1_050


async def test_an_error_of_the_program_is_not_taken_for_one_of_the_provider() -> None:
    rig = Rig({"scripted:first": [ZeroDivisionError("a bug")]})
    with pytest.raises(ZeroDivisionError):
        await rig.orchestrator.call(make_call())
    assert rig.keys("agent.failed", "agent.retrying") == []


async def test_the_same_error_raised_twice_does_not_grow() -> None:
    error = ModelCallError("Wait.", retryable=True, retry_after=50)
    for _ in range(2):
        rig = Rig({"scripted:first": [error]}, seconds=5)
        with pytest.raises(ProviderFailed) as failed:
            await rig.orchestrator.call(make_call())
        assert str(failed.value).count("asked to wait") == 1
