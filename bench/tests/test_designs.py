"""The bench's design runs as it says: all blocks, independent ones at once, in as many calls in a row as computed."""

import asyncio
import json

from bench.designs import PATTERNS, calls_at_once_at_first, critical_path_calls, thirty_blocks
from executor.json_types import JsonObject
from executor.patterns import PATTERNS as ALL_PATTERNS
from executor.providers.accounts import Account
from executor.providers.contract import ModelRequest
from executor.providers.registry import ProviderRegistry
from executor.run import run_design
from executor.tests.clocks import LoopClock, run_in_virtual_time
from executor.tests.models import ScriptedModels, Slow
from orchestration_site.proving.mock_provider import ChatRequest, MockProvider
from orchestration_site.proving.mock_replies import answer_text

INPUT: JsonObject = {"question": "Which of the three plans do we follow?"}


def test_the_design_has_thirty_blocks_and_every_pattern() -> None:
    blocks = thirty_blocks("bench:mock")["blocks"]
    assert isinstance(blocks, list)
    assert len(blocks) == 30
    assert set(PATTERNS) == set(ALL_PATTERNS)


def test_the_design_takes_as_many_calls_in_a_row_as_its_critical_path() -> None:
    """In virtual time, at one second a call."""

    async def take() -> float:
        models = ScriptedModels(lambda _, request: Slow(1.0, default_answer(request)), clock=LoopClock())
        result = await run_design(document, INPUT, models=models, deadline_seconds=None)
        assert result.status == "completed"
        return asyncio.get_running_loop().time()

    document = thirty_blocks("bench:mock")
    assert run_in_virtual_time(take()) == critical_path_calls(document)


def default_answer(request: ModelRequest) -> str:
    body: JsonObject = {"messages": [{"role": message.role, "content": message.text} for message in request.messages]}
    if request.output_schema is not None:
        body["response_format"] = {"json_schema": {"schema": request.output_schema}}
    return answer_text(ChatRequest("mock", json.loads(json.dumps(body)), {}))


async def test_over_http_all_blocks_complete_and_independent_ones_overlap() -> None:
    document = thirty_blocks("bench:mock")
    at_once = calls_at_once_at_first(document)
    together = asyncio.Event()

    async def answer_once_all_have_asked(_: ChatRequest) -> None:
        if server.counters.in_flight == at_once:
            together.set()
        async with asyncio.timeout(60):
            await together.wait()

    async with MockProvider(answer_once_all_have_asked) as server:
        registry = ProviderRegistry([Account("bench", "openai", server.base_url, allow_private=True)])
        try:
            result = await run_design(document, INPUT, models=registry)
        finally:
            await registry.aclose()
    assert result.status == "completed"
    assert [block.status for block in result.blocks.values()] == ["completed"] * 30
    assert server.counters.in_flight_peak >= at_once
    assert server.counters.by_status == {"200": server.counters.requests}
    assert result.usage.calls == server.counters.requests
