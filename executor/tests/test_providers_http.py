"""Providers over real HTTP, against a server that answers, refuses, stalls, lies, sends garbage and hangs up."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import SecretStr

from executor.json_types import JsonObject
from executor.providers.accounts import Account
from executor.providers.contract import Message, ModelAnswer, ModelCallError, ModelRequest, TokenUsage
from executor.providers.registry import ProviderRegistry
from executor.spec import AgentSettings
from orchestration_site.proving.mock_provider import ChatRequest, InOrder, MockProvider, Reply, Script

KEY = "sk-the-secret-key-1234567890"
SCHEMA: JsonObject = {
    "type": "object",
    "title": "Verdict",
    "properties": {"score": {"type": "number", "minimum": 0.5}, "note": {"type": "string", "default": ""}},
    "required": ["score"],
}


def make_request(text: str = "Hello", *, schema: JsonObject | None = None, **settings: Any) -> ModelRequest:
    return ModelRequest("Be brief.", (Message("user", text),), AgentSettings(**settings), schema)


def make_account(url: str, **fields: Any) -> Account:
    return Account("local", "openai", url, SecretStr(KEY), allow_private=True, **fields)


@asynccontextmanager
async def provider(script: Script | None = None, **fields: Any) -> AsyncIterator[tuple[MockProvider, ProviderRegistry]]:
    async with MockProvider(script) as server:
        registry = ProviderRegistry([make_account(server.base_url, **fields)])
        try:
            yield server, registry
        finally:
            await registry.aclose()


async def failure_of(registry: ProviderRegistry, model: str, *, streamed: bool = False) -> ModelCallError:
    with pytest.raises(ModelCallError) as caught:
        await registry.model(f"local:{model}").complete(make_request(), _ignore if streamed else None)
    return caught.value


def _ignore(_: str) -> None:
    pass


async def test_an_answer_comes_back_with_the_usage_that_was_reported() -> None:
    async with provider() as (server, registry):
        answer = await registry.model("local:mock").complete(make_request("Hello"))
    assert answer == ModelAnswer("Mock answer to: Hello", TokenUsage(4, 6))
    body = server.requests[0].body
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_settings_reach_the_provider_and_the_output_is_always_bounded() -> None:
    async with provider() as (server, registry):
        await registry.model("local:mock").complete(make_request(temperature=0.3, top_p=0.9, max_output_tokens=77))
        await registry.model("local:mock").complete(make_request())
    first, second = (request.body for request in server.requests)
    assert (first["temperature"], first["top_p"], first["max_tokens"]) == (0.3, 0.9, 77)
    assert second["max_tokens"] == 4_096
    assert "temperature" not in second


async def test_earlier_turns_keep_their_order() -> None:
    turns = (Message("user", "one"), Message("assistant", "two"), Message("user", "three"))
    async with provider() as (server, registry):
        await registry.model("local:mock").complete(ModelRequest("", turns, AgentSettings()))
    sent = [(message["role"], message["content"]) for message in server.requests[0].body["messages"]]
    assert sent == [("user", "one"), ("assistant", "two"), ("user", "three")]


async def test_a_schema_goes_out_as_it_was_written_and_json_comes_back_as_text() -> None:
    async with provider() as (server, registry):
        answer = await registry.model("local:mock").complete(make_request(schema=SCHEMA))
    assert server.requests[0].schema == SCHEMA
    assert json.loads(answer.text) == {"score": 0.5}


async def test_a_schema_that_no_format_takes_goes_into_the_prompt() -> None:
    schema: JsonObject = {"type": "array", "items": {"type": "string"}}
    async with provider(lambda _: '```json\n["a"]\n```') as (server, registry):
        answer = await registry.model("local:mock").complete(make_request(schema=schema))
    assert server.requests[0].schema is None
    assert json.dumps(schema) in server.requests[0].messages[0]["content"]
    assert json.loads(answer.text) == ["a"]


@pytest.mark.parametrize(
    ("reply", "retryable"),
    [
        (Reply(status=400), False),
        (Reply(status=401), False),
        (Reply(status=403), False),
        (Reply(status=404), False),
        (Reply(status=408), True),
        (Reply(status=409), True),
        (Reply(status=422), False),
        (Reply(status=429), True),
        (Reply(status=429, error_code="insufficient_quota"), False),
        (Reply(status=500), True),
        (Reply(status=502), True),
        (Reply(status=503), True),
        (Reply(status=529), True),
    ],
    ids=lambda value: f"{value.status}-{value.error_code}" if isinstance(value, Reply) else str(value),
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_status_says_whether_trying_again_can_help(reply: Reply, *, retryable: bool, streamed: bool) -> None:
    async with provider(lambda _: reply) as (server, registry):
        error = await failure_of(registry, "mock", streamed=streamed)
    assert (error.status, error.retryable) == (reply.status, retryable)
    assert server.counters.requests == 1, "the SDK's own retries are off"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", ["cut", "garbage"])
async def test_a_broken_answer_can_be_tried_again(fault: str, *, streamed: bool) -> None:
    async with provider() as (server, registry):
        error = await failure_of(registry, fault, streamed=streamed)
    assert error.retryable
    assert "local" in error.message
    assert server.counters.requests == 1


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "null",
        "7",
        '"text"',
        '{"choices": []}',
        '{"choices": 7}',
        '{"choices": [{}]}',
        '{"choices": [null]}',
    ],
)
async def test_json_that_is_no_completion_can_be_tried_again(body: str) -> None:
    async with _raw_server(body) as url:
        registry = ProviderRegistry([make_account(url)])
        error = await failure_of(registry, "mock")
        await registry.aclose()
    assert error.retryable
    assert error.status is None


async def test_an_unreachable_provider_can_be_tried_again_and_is_named() -> None:
    async with MockProvider() as server:
        url = server.base_url
    registry = ProviderRegistry([make_account(url)])
    error = await failure_of(registry, "mock")
    assert error.retryable
    assert "could not be reached" in error.message
    await registry.aclose()


async def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=40), usegmt=True)
    script = InOrder([Reply(status=503, retry_after=value) for value in ("7", later, past, "soon")])
    async with provider(script) as (_, registry):
        seconds, date, gone, nonsense = [(await failure_of(registry, "mock")).retry_after for _ in range(4)]
    assert seconds == 7
    assert date is not None
    assert 30 < date <= 40
    assert not gone
    assert nonsense is None


async def test_text_is_streamed_in_pieces_that_add_up_with_usage_at_the_end() -> None:
    pieces: list[str] = []
    async with provider() as (_, registry):
        answer = await registry.model("local:mock").complete(make_request("Tell me all of it"), pieces.append)
    assert answer.text == "Mock answer to: Tell me all of it"
    assert "".join(pieces) == answer.text
    assert len(pieces) > 1
    assert answer.usage == TokenUsage(7, 9)


async def test_json_is_streamed_as_text_too() -> None:
    pieces: list[str] = []
    async with provider() as (_, registry):
        answer = await registry.model("local:mock").complete(make_request(schema=SCHEMA), pieces.append)
    assert json.loads("".join(pieces)) == json.loads(answer.text) == {"score": 0.5}


async def test_a_mistake_in_the_sink_is_not_blamed_on_the_provider() -> None:
    def fail(_: str) -> None:
        raise LookupError("the sink's own")

    async with provider() as (_, registry):
        with pytest.raises(LookupError, match="the sink's own"):
            await registry.model("local:mock").complete(make_request(), fail)


async def test_usage_that_is_missing_is_counted_from_bytes_and_marked() -> None:
    script = InOrder([Reply(text="äb" * 30, usage="missing"), Reply(text="word", usage=(0, 0)), Reply(usage=(5, 6))])
    async with provider(script) as (_, registry):
        model = registry.model("local:mock")
        missing, zero, reported = [(await model.complete(make_request())).usage for _ in range(3)]
    assert missing == TokenUsage(5, 30, estimated=True)
    assert zero == TokenUsage(5, 2, estimated=True)
    assert reported == TokenUsage(5, 6)


async def test_an_answer_cut_by_the_token_limit_is_marked() -> None:
    async with provider() as (_, registry):
        whole = await registry.model("local:mock").complete(make_request())
        cut = await registry.model("local:length").complete(make_request())
        streamed = await registry.model("local:length").complete(make_request(), _ignore)
    assert (whole.truncated, cut.truncated, streamed.truncated) == (False, True, True)


async def test_text_has_no_nul_and_no_lone_surrogate_neither_inside_json() -> None:
    dirty = "a\x00b\ud800c\ud83d\ude00"
    script = InOrder([Reply(text=dirty), Reply(text=json.dumps({"score": 1, "note": dirty}))])
    async with provider(script) as (_, registry):
        text = (await registry.model("local:mock").complete(make_request())).text
        structured = (await registry.model("local:mock").complete(make_request(schema=SCHEMA))).text
    assert text == "ab\ufffdc😀"
    assert json.loads(structured)["note"] == "ab\ufffdc😀"


async def test_a_prompt_with_a_lone_surrogate_can_be_sent() -> None:
    async with provider() as (server, registry):
        await registry.model("local:mock").complete(make_request("a\ud800\x00b"))
    assert server.requests[0].last_user_text == "a\ufffdb"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_cancelled_call_closes_its_connection(*, streamed: bool) -> None:
    async with provider() as (server, registry):
        call = asyncio.create_task(
            registry.model("local:stall").complete(make_request(), _ignore if streamed else None)
        )
        await server.until(lambda counters: counters.in_flight == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.until(lambda counters: counters.disconnects == 1)


async def test_a_stream_cancelled_in_its_middle_closes_its_connection() -> None:
    async with provider() as (server, registry):
        begun = asyncio.Event()
        call = asyncio.create_task(registry.model("local:pieces-500").complete(make_request(), lambda _: begun.set()))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.until(lambda counters: counters.disconnects == 1)


async def test_the_deadline_is_the_callers() -> None:
    deadline = asyncio.timeout(None)

    async def pass_the_deadline(_: ChatRequest) -> Reply:
        deadline.reschedule(asyncio.get_running_loop().time())
        return Reply(fault="stall")

    async with provider(pass_the_deadline) as (server, registry):
        with pytest.raises(TimeoutError):
            async with deadline:
                await registry.model("local:mock").complete(make_request())
        await server.until(lambda counters: counters.disconnects == 1)


async def test_connections_are_kept_alive() -> None:
    async with provider() as (server, registry):
        for _ in range(5):
            await registry.model("local:mock").complete(make_request())
    assert (server.counters.requests, server.counters.connections) == (5, 1)


async def test_no_more_calls_run_at_once_than_the_account_allows() -> None:
    async with provider(max_concurrent_calls=3) as (server, registry):
        model = registry.model("local:latency-20")
        await asyncio.gather(*(model.complete(make_request()) for _ in range(12)))
    assert (server.counters.requests, server.counters.in_flight_peak) == (12, 3)


async def test_the_key_is_in_no_message_repr_or_chained_exception() -> None:
    def leak(request: ChatRequest) -> Reply:
        return Reply(status=400, error_message=f"You sent {request.headers['authorization']} and it is wrong")

    async with provider(leak) as (server, registry):
        error = await failure_of(registry, "mock")
        server.script = lambda _: Reply(status=401, error_message=f"Incorrect API key provided: {KEY}")
        refused = await failure_of(registry, "mock")
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(refused) + str(refused)
    assert "[key]" in error.message
    assert KEY not in shown
    for failed in (error, refused):
        assert failed.__cause__ is None
        assert failed.__context__ is None
    account = make_account("http://127.0.0.1/v1")
    assert KEY not in repr(account) + str(account) + repr(vars(registry))


async def test_credentials_and_headers_of_the_environment_stay_out_of_other_accounts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, f"leaked-{name}")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leaked: leaked-header")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    async with provider() as (server, registry):
        await registry.model("local:mock").complete(make_request())
    assert "leaked" not in str(server.requests[0].headers).lower()


async def test_a_redirect_is_not_followed() -> None:
    async with MockProvider() as elsewhere:
        head = f"HTTP/1.1 307 Moved\r\nlocation: {elsewhere.base_url}/chat/completions\r\ncontent-length: 0\r\n\r\n"
        async with _raw_server("", head=head) as url:
            registry = ProviderRegistry([make_account(url)])
            error = await failure_of(registry, "mock")
            await registry.aclose()
        assert elsewhere.counters.requests == 0
    assert not error.retryable
    assert "redirect" in error.message


async def test_a_private_address_is_refused_unless_the_account_may() -> None:
    async with MockProvider() as server:
        registry = ProviderRegistry([Account("local", "openai", server.base_url, SecretStr(KEY))])
        error = await failure_of(registry, "mock")
        await registry.aclose()
    assert server.counters.connections == 0
    assert (error.cause, error.retryable) == ("egress_refused", False)
    assert "127.0.0.1" in error.message


@pytest.mark.parametrize("url", ["ftp://example.org", "http://0177.0.0.1/v1", "http://[::1"])
async def test_a_base_url_that_is_none_fails_the_call_with_a_sentence(url: str) -> None:
    error = await failure_of(ProviderRegistry([make_account(url)]), "mock")
    assert not error.retryable
    assert url in error.message


@asynccontextmanager
async def _raw_server(body: str, head: str | None = None) -> AsyncIterator[str]:
    """Answers every request with these bytes."""
    if head is None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
