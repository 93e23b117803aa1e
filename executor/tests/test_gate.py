"""What an account allows at a time holds for all its callers."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from executor.providers.accounts import Account
from executor.providers.contract import Message, ModelCallError, ModelRequest
from executor.providers.gate import DEFAULT_PAUSE_SECONDS, LONGEST_WAIT_SECONDS, AccountGate
from executor.providers.registry import ProviderRegistry
from executor.spec import AgentSettings
from orchestration_site.proving.mock_provider import ChatRequest, MockProvider, Reply


class JumpingClock:
    """Time passes when somebody sleeps, and at no other time."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.time = max(self.time, until)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        return nullcontext()


async def test_a_pause_makes_every_caller_wait_until_it_is_over() -> None:
    clock = JumpingClock()
    gate = AccountGate("a", clock=clock)
    gate.pause(7)
    admitted: list[float] = []

    async def call() -> None:
        async with gate.admission():
            admitted.append(clock.monotonic())

    await asyncio.gather(call(), call(), call())
    assert admitted == [1_007.0] * 3


async def test_a_pause_reaches_those_who_were_queueing_already_and_never_gets_shorter() -> None:
    clock = JumpingClock()
    gate = AccountGate("a", max_concurrent_calls=1, clock=clock)
    admitted: list[float] = []

    async def call() -> None:
        async with gate.admission():
            admitted.append(clock.monotonic())

    async with gate.admission():
        queueing = asyncio.create_task(call())
        await asyncio.sleep(0)
        gate.pause(9)
        gate.pause(None)
    await queueing
    assert admitted == [1_009.0]


async def test_a_long_pause_is_told_instead_of_waited_for() -> None:
    clock = JumpingClock()
    gate = AccountGate("busy", clock=clock)
    gate.pause(LONGEST_WAIT_SECONDS + 1)
    with pytest.raises(ModelCallError) as caught:
        async with gate.admission():
            pytest.fail("nobody may get in")
    assert (caught.value.retryable, caught.value.status) == (True, 429)
    assert caught.value.retry_after == LONGEST_WAIT_SECONDS + 1
    assert "busy" in caught.value.message
    assert clock.slept == []


async def test_a_cancelled_caller_gives_its_place_back() -> None:
    gate = AccountGate("a", max_concurrent_calls=1)
    gate.pause(30)
    waiting = asyncio.create_task(_enter(gate))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate._closed_until = 0.0
    async with asyncio.timeout(5):
        await _enter(gate)


@pytest.mark.parametrize(("retry_after", "pause"), [("12", 12.0), (None, DEFAULT_PAUSE_SECONDS)])
async def test_one_429_holds_back_the_other_callers_of_the_account(retry_after: str | None, pause: float) -> None:
    def script(request: ChatRequest) -> Reply | None:
        return Reply(status=429, retry_after=retry_after) if request.earlier == 0 else None

    clock = JumpingClock()
    async with MockProvider(script) as server:
        account = Account("local", "openai", server.base_url, SecretStr("k"), allow_private=True)
        registry = ProviderRegistry([account], clock=clock)
        request = ModelRequest("", (Message("user", "Hi"),), AgentSettings())
        with pytest.raises(ModelCallError):
            await registry.model("local:mock").complete(request)
        await registry.model("local:mock").complete(request)
        await registry.aclose()
    assert clock.slept == [pause]


async def test_an_exhausted_quota_holds_nobody_back() -> None:
    clock = JumpingClock()
    async with MockProvider(lambda _: Reply(status=429, error_code="insufficient_quota")) as server:
        account = Account("local", "openai", server.base_url, SecretStr("k"), allow_private=True)
        registry = ProviderRegistry([account], clock=clock)
        for _ in range(2):
            with pytest.raises(ModelCallError, match="quota"):
                await registry.model("local:mock").complete(ModelRequest("", (Message("user", "Hi"),), AgentSettings()))
        await registry.aclose()
    assert clock.slept == []


async def _enter(gate: AccountGate) -> None:
    async with gate.admission():
        pass
