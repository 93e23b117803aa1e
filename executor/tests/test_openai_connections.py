"""Requests to OpenAI's kind of server: what goes out, over which connections, and what stays in."""

import asyncio
import logging
import ssl
import subprocess
import sys
import traceback
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from executor.egress import EgressRefused
from executor.providers import openai_chat
from executor.providers.accounts import Account
from executor.providers.contract import ModelCallError
from executor.tests.raw_provider import DONE, KEY, ask, chunk, completion, failure_of, raw_provider, stream, whole
from orchestration_site.proving.mock_provider import ChatRequest, MockProvider


async def test_after_the_last_word_nobody_waits_for_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_chat, "END_SECONDS", 0.01)
    async with raw_provider(stream(chunk("Hello"), chunk(None, "stop"), DONE, hold=True)) as (server, registry):
        answer = await ask(registry, lambda _: None)
        await asyncio.wait_for(server.left.wait(), 10)
    assert answer.text == "Hello"


async def test_connections_of_streams_and_of_errors_are_kept_alive() -> None:
    answers = [
        stream(chunk("Hello"), chunk(None, "stop"), DONE),
        whole({"error": {"message": "no"}}, status=400),
        stream(chunk("Hello"), chunk(None, "stop"), DONE),
        whole(completion()),
    ]
    async with raw_provider(*answers) as (server, registry):
        await ask(registry, lambda _: None)
        with pytest.raises(ModelCallError):
            await ask(registry)
        await ask(registry, lambda _: None)
        await ask(registry)
    assert (len(server.bodies), server.connections) == (4, 1)


async def test_a_stream_whose_end_comes_after_its_last_word_keeps_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openai_chat, "END_SECONDS", 10)
    async with raw_provider(stream(chunk("Hello", "stop"), DONE, pause=0.05)) as (server, registry):
        for _ in range(3):
            await ask(registry, lambda _: None)
    assert (len(server.bodies), server.connections) == (3, 1)


async def test_the_key_goes_to_no_other_origin() -> None:
    async with raw_provider(whole(completion())) as (server, _), raw_provider(whole(completion())) as (other, _):
        connection = openai_chat.connect(Account("local", "openai", server.url, SecretStr(KEY), allow_private=True))
        session = await connection._open()
        with pytest.raises(EgressRefused, match="belong to another host"):
            await session.post(other.url, data=b"{}")
        await connection.aclose()
    assert other.heads == []


async def test_a_failing_sink_closes_the_connection() -> None:
    def fail(_: str) -> None:
        raise LookupError("the sink's own")

    async with raw_provider(stream(chunk("Hel"), hold=True)) as (server, registry):
        with pytest.raises(LookupError, match="the sink's own"):
            await ask(registry, fail)
        await asyncio.wait_for(server.left.wait(), 10)


async def test_the_request_is_one_that_every_server_understands() -> None:
    async with raw_provider(whole(completion())) as (server, registry):
        await ask(registry, max_output_tokens=9)
        await ask(registry, temperature=0.0, top_p=0.5, schema={"type": "object"})
    first, second = server.bodies
    assert first == {
        "model": "some-model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "max_tokens": 9,
    }
    assert (second["temperature"], second["top_p"]) == (0.0, 0.5)
    assert second["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}},
    }
    head = server.heads[0].lower()
    assert head.startswith("post /v1/chat/completions http/1.1\r\n")
    assert "accept-encoding: identity\r\n" in head
    assert head.count("authorization:") == 1


async def test_a_stream_is_asked_for_with_its_usage() -> None:
    async with raw_provider(stream(chunk("Hello", "stop"), DONE)) as (server, registry):
        await ask(registry, lambda _: None)
    assert (server.bodies[0]["stream"], server.bodies[0]["stream_options"]) == (True, {"include_usage": True})


async def test_a_prompt_of_megabytes_goes_out_whole_and_without_a_warning() -> None:
    text = "ä" * 2_000_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with raw_provider(whole(completion())) as (server, registry):
            await ask(registry, text=text)
    assert server.bodies[0]["messages"][1]["content"] == text


async def test_an_account_without_a_key_sends_none() -> None:
    async with raw_provider(whole(completion()), api_key=None) as (server, registry):
        await ask(registry)
    assert "authorization" not in server.heads[0].lower()


async def test_a_key_that_fits_no_header_is_named_and_not_shown() -> None:
    async with raw_provider(whole(completion()), api_key=SecretStr("sk-\nX-Evil: 1")) as (server, registry):
        with pytest.raises(ModelCallError, match="key holds characters") as caught:
            await ask(registry)
    assert not caught.value.retryable
    assert "Evil" not in "".join(traceback.format_exception(caught.value))
    assert server.heads == []


async def test_cookies_are_not_kept() -> None:
    sent = whole(completion(), headers={"set-cookie": "session=1; path=/"})
    async with raw_provider(sent) as (server, _):
        url = server.url.replace("127.0.0.1", "localhost")  # cookies of addresses are never kept
        async with raw_provider(base_url=url) as (_, registry):
            await ask(registry)
            await ask(registry)
    assert "cookie" not in server.heads[1].lower()


async def test_proxies_and_passwords_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password leaked")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with raw_provider(whole(completion()), api_key=None) as (server, registry):
        await ask(registry)
    assert "authorization" not in server.heads[0].lower()


async def test_a_base_url_keeps_its_path_and_its_query() -> None:
    async with raw_provider(whole(completion())) as (server, _):
        url = server.url.replace("/v1", "/a%2Fb/openai/?api-version=2&x=1")
        async with raw_provider(base_url=url) as (_, registry):
            await ask(registry)
    assert server.heads[0].startswith("POST /a%2Fb/openai/chat/completions?api-version=2&x=1 HTTP/1.1\r\n")


async def test_a_password_in_the_base_url_is_refused_and_not_shown() -> None:
    async with raw_provider(whole(completion()), base_url="http://user:hunter2@127.0.0.1/v1") as (_, registry):
        with pytest.raises(ModelCallError, match="key has a field of its own") as caught:
            await ask(registry)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_a_certificate_that_nobody_vouches_for_is_refused_by_name(tmp_path: Path) -> None:
    async with raw_provider(whole(completion()), tls=_self_signed(tmp_path)) as (server, registry):
        with pytest.raises(ModelCallError, match="certificate") as caught:
            await ask(registry)
    assert not caught.value.retryable
    assert server.heads == []


async def test_nothing_of_a_call_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await failure_of(whole({"error": {"message": KEY}}, status=401))
    async with MockProvider() as gone:
        url = gone.base_url
    async with raw_provider(whole(completion()), base_url=url) as (_, registry):
        with pytest.raises(ModelCallError):
            await ask(registry)
    assert KEY not in caplog.text


async def test_a_burst_of_calls_opens_a_connection_for_each_and_keeps_them() -> None:
    async with MockProvider() as server, raw_provider(base_url=server.base_url) as (_, registry):

        async def wait_for_all(_: ChatRequest) -> None:
            await server.until(lambda counters: counters.in_flight_peak == 60)

        server.script = wait_for_all
        await asyncio.gather(*(ask(registry) for _ in range(60)))
        await asyncio.gather(*(ask(registry) for _ in range(60)))
    assert (server.counters.requests, server.counters.in_flight_peak) == (120, 60)
    assert server.counters.connections == 60


def test_a_loop_that_ends_closes_the_session_that_nobody_closed() -> None:
    code = """
import asyncio
from orchestration_site.proving.mock_provider import ChatRequest, MockProvider
from executor.providers.accounts import Account
from executor.providers.contract import Message, ModelRequest
from executor.providers.registry import ProviderRegistry
from executor.spec import AgentSettings

async def main():
    async with MockProvider() as server:
        registry = ProviderRegistry([Account("local", "openai", server.base_url, allow_private=True)])
        request = ModelRequest("", (Message("user", "Hi"),), AgentSettings())
        print((await registry.model("local:mock").complete(request)).text)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "Mock answer to: Hi"
    assert "Unclosed" not in done.stderr


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
