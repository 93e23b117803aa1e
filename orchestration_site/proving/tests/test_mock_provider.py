"""The mock provider does what it is told, so that a test that relies on it tests the system and not the mock."""

import json
from typing import Any

import aiohttp
import jsonschema
import pytest

from orchestration_site.proving.mock_provider import ChatRequest, InOrder, MockProvider, Reply, serve_in_thread
from orchestration_site.proving.smallest_instance import smallest_instance


def chat(model: str = "mock", text: str = "Hello", **extra: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **extra}


async def post(server: MockProvider, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{server.base_url}/chat/completions", json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def events(server: MockProvider, body: dict[str, Any]) -> list[str]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{server.base_url}/chat/completions", json={**body, "stream": True}) as answer,
    ):
        lines = (await answer.text()).splitlines()
    return [line.removeprefix("data: ") for line in lines if line]


async def test_it_answers_from_the_last_user_message_and_counts_tokens() -> None:
    async with MockProvider() as server:
        status, body = await post(server, chat(text="Summarise this"))
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "Mock answer to: Summarise this"
    assert body["usage"]["prompt_tokens"] == 4


async def test_a_stream_adds_up_to_the_same_text_and_ends_with_usage_when_asked() -> None:
    async with MockProvider() as server:
        *chunks, done = await events(server, chat(stream_options={"include_usage": True}))
        assert done == "[DONE]"
        without = await events(server, chat())
    parsed = [json.loads(chunk) for chunk in chunks]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in parsed if chunk["choices"])
    assert text == "Mock answer to: Hello"
    assert parsed[-1]["usage"]["completion_tokens"] == 6
    assert not any("usage" in chunk for chunk in without)


async def test_a_model_name_scripts_the_first_requests_only() -> None:
    async with MockProvider() as server:
        statuses = [(await post(server, chat("status-429-2+retry-after-3")))[0] for _ in range(3)]
        other, _ = await post(server, chat("status-429-2+other"))
    assert statuses == [429, 429, 200]
    assert other == 429


async def test_the_header_outranks_the_model_name() -> None:
    async with MockProvider() as server:
        status, body = await post(server, chat("some-model"), **{"x-mock": "quota"})
    assert (status, body["error"]["code"]) == (429, "insufficient_quota")


async def test_a_cut_answer_breaks_off_in_its_middle() -> None:
    async with MockProvider() as server:
        with pytest.raises(aiohttp.ClientPayloadError):
            await post(server, chat("cut"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await events(server, chat("cut"))


async def test_garbage_is_not_json() -> None:
    async with MockProvider() as server:
        with pytest.raises(ValueError, match="decode"):
            await post(server, chat("garbage"))


async def test_invalid_structured_answers_come_first_then_valid_ones() -> None:
    schema = {"type": "object", "required": ["score"], "properties": {"score": {"type": "number", "minimum": 0.5}}}
    response_format = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    async with MockProvider() as server:
        answers = [await post(server, chat("invalid-1", response_format=response_format)) for _ in range(2)]
    first, second = (json.loads(body["choices"][0]["message"]["content"]) for _, body in answers)
    assert "score" not in first
    assert second == {"score": 0.5}


async def test_a_script_sees_the_request_and_answers_it() -> None:
    async def script(request: ChatRequest) -> Reply | None:
        return Reply(text=request.last_user_text.upper(), usage="missing") if request.model == "loud" else None

    async with MockProvider(script) as server:
        _, loud = await post(server, chat("loud"))
        _, plain = await post(server, chat())
        server.script = InOrder([Reply(status=500), "second"])
        third, fourth = await post(server, chat()), await post(server, chat())
    assert loud["choices"][0]["message"]["content"] == "HELLO"
    assert "usage" not in loud
    assert "usage" in plain
    assert third[0] == 500
    assert fourth[1]["choices"][0]["message"]["content"] == "second"


async def test_it_counts_requests_peaks_and_clients_that_leave() -> None:
    async with MockProvider() as server, aiohttp.ClientSession() as client:
        with pytest.raises(TimeoutError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(0.1)) as hasty:
                await hasty.post(f"{server.base_url}/chat/completions", json=chat("stall"))
        await server.until(lambda counters: counters.disconnects == 1)
        await post(server, chat("status-503"))
        async with client.get(server.base_url.removesuffix("/v1") + "/counters") as answer:
            counters = await answer.json()
    assert counters["requests"] == 2
    assert counters["in_flight"] == 0
    assert counters["in_flight_peak"] == 1
    assert counters["by_status"] == {"503": 1}


def test_it_runs_in_a_thread_beside_blocking_code() -> None:
    with serve_in_thread(latency=0.01) as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        assert server.port > 0


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"A": {"enum": ["b", "c"]}}, "type": "array", "minItems": 2, "items": {"$ref": "#/$defs/A"}},
        {"type": "object", "required": ["a"], "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "string"}]}}},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        {"type": "integer", "minimum": 3, "multipleOf": 5},
        {"allOf": [{"properties": {"n": {"type": "integer", "maximum": -2}}}, {"required": ["n"]}], "type": "object"},
        {"type": "string", "minLength": 4},
    ],
)
def test_the_smallest_instance_satisfies_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(smallest_instance(schema), schema)
