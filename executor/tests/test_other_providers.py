"""Anthropic and Google over real HTTP, against small servers that speak their formats as the SDKs expect them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from executor.json_types import JsonObject
from executor.providers.accounts import Account
from executor.providers.contract import Message, ModelAnswer, ModelCallError, ModelRequest, TokenUsage
from executor.providers.registry import ProviderRegistry
from executor.spec import AgentSettings

KEY = "the-secret-key-1234567890"
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["score"],
}
MODELS: dict[str, str] = {"anthropic": "claude-sonnet-4-6", "google": "gemini-2.5-flash"}


@dataclass
class Asked:
    """One request that reached the server."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Answer = Callable[[Asked], web.Response]


@dataclass
class Server:
    url: str
    asked: list[Asked] = field(default_factory=list)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server("")

    async def handle(request: web.Request) -> web.Response:
        asked = Asked(
            request.path_qs, {name.lower(): value for name, value in request.headers.items()}, await request.json()
        )
        server.asked.append(asked)
        return answer(asked)

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def anthropic(asked: Asked) -> web.Response:
    """A message: the tool's arguments where a tool is given, else a text. Streamed if that is asked for."""
    tools = asked.body.get("tools")
    arguments = {"score": 7}
    if tools:
        block: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": tools[0]["name"], "input": arguments}
    else:
        block = {"type": "text", "text": "Hello from Claude"}
    usage = {"input_tokens": 11, "output_tokens": 5}
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None}
    if not asked.body.get("stream"):
        return web.json_response({**message, "content": [block], "stop_reason": "end_turn", "usage": usage})
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {**message, "content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}},
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {**block, "input": {}} if tools else {**block, "text": ""},
        },
        *(
            {"type": "content_block_delta", "index": 0, "delta": delta}
            for delta in (
                [{"type": "input_json_delta", "partial_json": piece} for piece in ('{"score"', ": 7}")]
                if tools
                else [{"type": "text_delta", "text": piece} for piece in ("Hello ", "from Claude")]
            )
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return web.Response(text=text, content_type="text/event-stream")


def google(asked: Asked) -> web.Response:
    """A generation: JSON where a JSON schema is given, else a text. Streamed if that is asked for."""
    schema = asked.body["generationConfig"].get("responseJsonSchema")
    pieces = ['{"score"', ": 7}"] if schema else ["Hello ", "from Gemini"]
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 5, "totalTokenCount": 16}

    def chunk(text: str, *, last: bool) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
        if last:
            candidate["finishReason"] = "STOP"
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini", "responseId": "r1"}

    if "streamGenerateContent" not in asked.path:
        return web.json_response(chunk("".join(pieces), last=True))
    chunks = [chunk(piece, last=piece == pieces[-1]) for piece in pieces]
    text = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks)
    return web.Response(text=text, content_type="text/event-stream")


HONEST: dict[str, Answer] = {"anthropic": anthropic, "google": google}
SAYS: dict[str, str] = {"anthropic": "Hello from Claude", "google": "Hello from Gemini"}
KINDS: list[str] = ["anthropic", "google"]


@asynccontextmanager
async def asking(kind: str, answer: Answer | None = None) -> AsyncIterator[tuple[Server, ProviderRegistry]]:
    async with serving(answer or HONEST[kind]) as server:
        registry = ProviderRegistry([Account("work", kind, server.url, SecretStr(KEY), allow_private=True)])
        try:
            yield server, registry
        finally:
            await registry.aclose()


async def ask(
    registry: ProviderRegistry, kind: str, *, schema: JsonObject | None = None, pieces: list[str] | None = None
) -> ModelAnswer:
    request = ModelRequest("Be brief.", (Message("user", "Hi"),), AgentSettings(max_output_tokens=99), schema)
    return await registry.model(f"work:{MODELS[kind]}").complete(request, None if pieces is None else pieces.append)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_comes_back_with_its_usage(kind: str) -> None:
    async with asking(kind) as (server, registry):
        answer = await ask(registry, kind)
    assert answer == ModelAnswer(SAYS[kind], TokenUsage(11, 5))
    sent = server.asked[0]
    assert KEY in str(sent.headers)
    assert KEY not in sent.path
    assert "Be brief." in json.dumps(sent.body)
    assert 99 in (sent.body.get("max_tokens"), sent.body.get("generationConfig", {}).get("maxOutputTokens"))


@pytest.mark.parametrize("kind", KINDS)
async def test_text_is_streamed(kind: str) -> None:
    pieces: list[str] = []
    async with asking(kind) as (_, registry):
        answer = await ask(registry, kind, pieces=pieces)
    assert len(pieces) > 1
    assert "".join(pieces) == answer.text == SAYS[kind]
    assert answer.usage == TokenUsage(11, 5)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_json_is_asked_for_with_the_schema_and_comes_back_as_text(kind: str, *, streamed: bool) -> None:
    pieces: list[str] = []
    async with asking(kind) as (server, registry):
        answer = await ask(registry, kind, schema=SCHEMA, pieces=pieces if streamed else None)
    assert json.loads(answer.text) == {"score": 7}
    assert '"maximum": 9' in json.dumps(server.asked[0].body), "no constraint is lost"
    if streamed:
        assert json.loads("".join(pieces)) == {"score": 7}


def error_of(kind: str, status: int, name: str) -> web.Response:
    headers = {"retry-after": "4"} if status == 429 else {}
    if kind == "anthropic":
        body: dict[str, Any] = {"type": "error", "error": {"type": name, "message": f"no: {KEY}"}}
    else:
        body = {"error": {"code": status, "status": name, "message": f"no: {KEY}", "details": []}}
    return web.json_response(body, status=status, headers=headers)


@pytest.mark.parametrize(
    ("kind", "status", "name", "retryable"),
    [
        ("anthropic", 400, "invalid_request_error", False),
        ("anthropic", 401, "authentication_error", False),
        ("anthropic", 404, "not_found_error", False),
        ("anthropic", 429, "rate_limit_error", True),
        ("anthropic", 500, "api_error", True),
        ("anthropic", 529, "overloaded_error", True),
        ("google", 400, "INVALID_ARGUMENT", False),
        ("google", 403, "PERMISSION_DENIED", False),
        ("google", 404, "NOT_FOUND", False),
        ("google", 429, "RESOURCE_EXHAUSTED", True),
        ("google", 500, "INTERNAL", True),
        ("google", 503, "UNAVAILABLE", True),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_status_says_whether_trying_again_can_help(
    kind: str, status: int, name: str, *, retryable: bool, streamed: bool
) -> None:
    async with asking(kind, lambda _: error_of(kind, status, name)) as (server, registry):
        with pytest.raises(ModelCallError) as caught:
            await ask(registry, kind, pieces=[] if streamed else None)
    error = caught.value
    assert (error.status, error.retryable) == (status, retryable)
    assert error.retry_after == (4 if status == 429 else None)
    assert KEY not in repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert len(server.asked) == 1, "the SDK's own retries are off"


@pytest.mark.parametrize("body", ["<html>", "{}", "[]", "null", '{"content": 7, "candidates": 7}', ""])
@pytest.mark.parametrize("kind", KINDS)
async def test_garbage_can_be_tried_again(kind: str, body: str) -> None:
    async with asking(kind, lambda _: web.Response(text=body, content_type="application/json")) as (_, registry):
        with pytest.raises(ModelCallError) as caught:
            await ask(registry, kind)
    assert caught.value.retryable


async def test_headers_and_credentials_of_the_environment_stay_out_of_other_accounts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "leaked-token")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "leaked-key")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Leaked: leaked-header")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("GOOGLE_API_KEY", "leaked-google")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")
    for kind in KINDS:
        async with asking(kind) as (server, registry):
            await ask(registry, kind)
        assert "leaked" not in str(server.asked[0].headers).lower()
