"""The engine alone, in this process, over real HTTP to the mock provider."""

import asyncio
import time
from decimal import Decimal

from pydantic import SecretStr

from bench.designs import critical_path_calls, thirty_blocks
from bench.measurement import Measurement
from executor.budget import Limits
from executor.json_schema import validate_instance
from executor.json_types import Json, JsonObject
from executor.providers.accounts import Account
from executor.providers.contract import Message, ModelRequest, Price
from executor.providers.registry import ProviderRegistry
from executor.run import run_design
from executor.schema_check import check_schema
from executor.spec import AgentSettings

CHAIN = 1_000
ROUNDS = 3
LIMITS = Limits(max_calls=10_000, max_tokens=500_000_000, max_cost=Decimal(1_000_000))
CALL_SECONDS = 0.2


def measure_engine(provider_url: str) -> list[Measurement]:
    """What the engine costs beside the provider's client, and whether what can overlap does."""
    return asyncio.run(_measure(provider_url))


async def _measure(provider_url: str) -> list[Measurement]:
    account = Account(
        name="mock",
        kind="openai",
        base_url=provider_url,
        api_key=SecretStr("x"),
        prices=dict.fromkeys(("mock", "latency-200"), Price(Decimal(1), Decimal(2))),
        allow_private=True,
    )
    models = ProviderRegistry([account], default_model="mock:mock")
    try:
        return [*await _chain(models), await _fan_out(models), await _thirty_blocks(models), _hostile_pattern()]
    finally:
        await models.aclose()


async def _chain(models: ProviderRegistry) -> list[Measurement]:
    document = _chain_document(CHAIN)
    await _client_alone(models, 50)
    engine, client = [], []
    for _ in range(ROUNDS):  # in turns, so that a slow moment of the machine meets both
        client.append(await _client_alone(models, CHAIN))
        engine.append(await _run(models, document))
    beside = min(engine) - min(client)
    details = {"engine_s": min(engine), "client_s": min(client)}
    return [
        Measurement("engine overhead of a call, beside its client", beside / CHAIN * 1000, "ms", 1.0, details=details),
        Measurement(f"engine overhead of a chain of {CHAIN} blocks", beside, "s", 1.0, details=details),
    ]


async def _client_alone(models: ProviderRegistry, calls: int) -> float:
    model = models.model("mock:mock")
    request = ModelRequest("Be brief.", (Message("user", "Say what matters."),), AgentSettings())
    began = time.perf_counter()
    for _ in range(calls):
        await model.complete(request)
    return time.perf_counter() - began


async def _fan_out(models: ProviderRegistry) -> Measurement:
    workers: list[Json] = [_agent(f"w{number}", "mock:latency-200") for number in range(50)]
    blocks: list[Json] = [
        {"id": "fan", "type": "parallel", "data": {"label": "Fan", "task": "Look at it.", "agents": workers}},
        {
            "id": "one-more",
            "type": "sequential",
            "data": {"label": "One more", "task": "Join it.", "agents": [_agent("joiner", "mock:latency-200")]},
        },
    ]
    connections: list[Json] = [{"id": "c", "source": "fan", "target": "one-more"}]
    document: JsonObject = {"format": 1, "name": "Fan-out", "blocks": blocks, "connections": connections}
    await _run(models, document)
    seconds = min([await _run(models, document) for _ in range(ROUNDS)])
    ideal = 2 * CALL_SECONDS
    return Measurement(
        "50 calls of 200 ms and one more, of the ideal", seconds / ideal, "times", 1.1, details={"s": seconds}
    )


async def _thirty_blocks(models: ProviderRegistry) -> Measurement:
    document = thirty_blocks("mock:latency-200")
    ideal = critical_path_calls(document) * CALL_SECONDS
    seconds = min([await _run(models, document) for _ in range(2)])
    details = {"s": seconds, "critical_path_s": ideal}
    return Measurement(
        "30 blocks of six patterns, of the critical path", seconds / ideal, "times", 1.1, details=details
    )


def _hostile_pattern() -> Measurement:
    """A backtracking engine would not end in this universe."""
    schema: JsonObject = {"type": "object", "properties": {"text": {"type": "string", "pattern": "^(a+)+$"}}}
    value: JsonObject = {"text": "a" * 50_000 + "!"}
    took: list[float] = []
    for number in range(ROUNDS):
        fresh = schema | {"title": f"Schema {number}"}  # one that no round before has compiled
        began = time.perf_counter()
        found = [*check_schema(fresh), *validate_instance(fresh, value)]
        took.append(time.perf_counter() - began)
        if [problem.code for problem in found] != ["pattern"]:
            raise RuntimeError(f"The pattern was not held against the value: {found}")
    return Measurement("a schema with ^(a+)+$, and 50,000 letters held against it", max(took) * 1000, "ms", 50)


async def _run(models: ProviderRegistry, document: JsonObject) -> float:
    began = time.perf_counter()
    result = await run_design(document, {"text": "The input."}, models=models, limits=LIMITS)
    seconds = time.perf_counter() - began
    if result.failure is not None:
        raise RuntimeError(f"The design did not run: {result.failure}")
    return seconds


def _chain_document(length: int) -> JsonObject:
    blocks: list[Json] = [
        {
            "id": f"b{number}",
            "type": "sequential",
            "data": {"label": f"Block {number}", "task": "Say what matters.", "agents": [_agent("w", "mock:mock")]},
        }
        for number in range(length)
    ]
    connections: list[Json] = [
        {"id": f"c{number}", "source": f"b{number - 1}", "target": f"b{number}"} for number in range(1, length)
    ]
    return {"format": 1, "name": "Chain", "blocks": blocks, "connections": connections}


def _agent(name: str, model: str) -> Json:
    return {"id": name, "name": name, "role": "worker", "system_prompt": "Be brief.", "model": model}
