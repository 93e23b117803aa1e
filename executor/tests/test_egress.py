"""No outgoing connection reaches a private address, whatever form it is written in and whatever a name resolves to."""

import asyncio
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import httpx2
import pytest

from executor.egress import EgressRefused, refusal
from executor.egress_aiohttp import checked_session, parse_url
from executor.egress_httpx import checked_client


class Fetch(Protocol):
    """Gets a URL under the rules of a road, and gives the status."""

    async def __call__(self, url: str, *, private_hosts: Collection[str] = (), origin: str | None = None) -> int: ...


async def fetch_by_httpx(url: str, *, private_hosts: Collection[str] = (), origin: str | None = None) -> int:
    async with checked_client(private_hosts=private_hosts, origin=origin) as client:
        return (await client.get(url)).status_code


async def fetch_by_aiohttp(url: str, *, private_hosts: Collection[str] = (), origin: str | None = None) -> int:
    bound_to = None if origin is None else parse_url(origin).origin()
    async with (
        checked_session(private_hosts=private_hosts, origin=bound_to) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        return answer.status


@pytest.fixture(params=[fetch_by_httpx, fetch_by_aiohttp])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    return request.param  # type: ignore[no-any-return] # one of the two above


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "100::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2a00:1450::5efe:192.168.0.1",
        "not an address",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert refusal(address) is not None


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd12::1", "::ffff:127.0.0.1"])
def test_an_operator_can_open_private_ranges(address: str) -> None:
    assert refusal(address, private_allowed=True) is None


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "168.63.129.16",
        "fd00:ec2::254",
        "fe80::1",
        "224.0.0.1",
        "2001:0:4136:e378:8000:63bf:5601:5601",
    ],
)
def test_metadata_services_stay_closed_even_then(address: str) -> None:
    assert refusal(address, private_allowed=True) is not None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "127.1",
        "017700000001",
        "0x7f000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
    ],
)
async def test_loopback_is_refused_in_every_spelling(fetch: Fetch, host: str) -> None:
    async with server() as (port, seen):
        with pytest.raises(EgressRefused, match="refused"):
            await fetch(f"http://{host}:{port}/")
    assert seen == []


async def test_consent_is_for_the_host_that_was_named(fetch: Fetch) -> None:
    async with server() as (port, seen):
        assert await fetch(f"http://localhost:{port}/", private_hosts=["LOCALHOST"]) == 200
        with pytest.raises(EgressRefused):
            await fetch(f"http://127.0.0.1:{port}/", private_hosts=["localhost"])
    assert len(seen) == 1
    assert f"host: localhost:{port}" in seen[0].lower()


async def test_a_name_with_one_private_address_among_public_ones_is_refused(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, [["93.184.216.34", "127.0.0.1"]])
    with pytest.raises(EgressRefused, match="private or reserved"):
        await fetch("http://mixed.example/")


async def test_which_address_was_refused_is_in_the_log_and_not_in_the_answer(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resolve_to(monkeypatch, [["10.1.2.3"]])
    with pytest.raises(EgressRefused) as refused:
        await fetch("http://inside.example/")
    assert "10.1.2.3" not in str(refused.value)
    assert "'inside.example'" in str(refused.value)
    assert "10.1.2.3" in caplog.text


async def test_the_connection_goes_to_the_address_that_was_checked(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is resolved a second time would lead elsewhere: here, to nowhere."""
    async with server() as (port, seen):
        asked = resolve_to(monkeypatch, [["127.0.0.1"], ["192.0.2.1"]])
        assert await fetch(f"http://rebinding.example:{port}/", private_hosts=["rebinding.example"]) == 200
    assert asked == ["rebinding.example"]
    assert f"host: rebinding.example:{port}" in seen[0].lower()


async def test_an_unknown_name_is_a_connection_error_and_not_a_refusal(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, [])
    with pytest.raises((httpx2.ConnectError, aiohttp.ClientConnectorError), match=r"nowhere\.example"):
        await fetch("http://nowhere.example/")


async def test_a_redirect_ends_the_request() -> None:
    async with server(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n") as (
        port,
        seen,
    ):
        with pytest.raises(EgressRefused, match="redirect"):
            await fetch_by_httpx(f"http://localhost:{port}/", private_hosts=["localhost"])
    assert len(seen) == 1


async def test_credentials_stay_with_their_origin(fetch: Fetch) -> None:
    async with server() as (port, seen):
        origin = f"http://localhost:{port}/v1"
        assert await fetch(f"http://localhost:{port}/v1/chat", private_hosts=["localhost"], origin=origin) == 200
        for other in (f"http://127.0.0.1:{port}/", f"https://localhost:{port}/", f"http://localhost:{port + 1}/"):
            with pytest.raises(EgressRefused, match="belong to another"):
                await fetch(other, private_hosts=["localhost", "127.0.0.1"], origin=origin)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "url", ["", "ftp://example.org", "file:///etc/passwd", "http://", "http://[::1", "http://0177.0.0.1", "x"]
)
def test_an_origin_has_to_be_an_http_url(url: str) -> None:
    for take in (lambda: checked_client(origin=url), lambda: parse_url(url)):
        with pytest.raises(EgressRefused, match="is not a URL"):
            take()


def test_a_password_in_a_base_url_is_refused_and_not_repeated() -> None:
    for url in ("https://user:hunter2@example.org/v1", "https://user:hunter2@[::1/v1"):
        with pytest.raises(EgressRefused) as refused:
            parse_url(url)
        assert "hunter2" not in str(refused.value)


async def test_proxies_of_the_environment_are_not_used(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    async with server() as (port, seen):
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        assert await fetch(f"http://localhost:{port}/", private_hosts=["localhost"]) == 200
    assert len(seen) == 1


@asynccontextmanager
async def server(
    answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
) -> AsyncIterator[tuple[int, list[str]]]:
    """Answers every request so. Gives its port, and the heads of the requests that reached it."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], seen


def resolve_to(monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]) -> list[str]:
    """Let names resolve to these addresses, answer by answer. Gives the list of the names asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if len(asked) == len(answers):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[len(asked) - 1]]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked
