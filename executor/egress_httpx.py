"""Outgoing HTTP over httpx2, which the SDKs of some providers ride on, kept to the rules of `egress`.

TLS still verifies the name. Redirects are not followed, and proxies from the environment are not used: both would
choose the address elsewhere.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache

import httpcore2
import httpx2

from executor.egress import (
    CONNECT_SECONDS,
    IDLE_SECONDS,
    EgressRefused,
    checked_addresses,
    foreign_origin,
    refused_encoding,
    refused_redirect,
    refused_url,
)

PLAIN = "identity"
MAX_CONNECTIONS = 1_000
MAX_IDLE_CONNECTIONS = 200
# Callers set their own deadlines; this only bounds a connection that everyone has forgotten.
LONGEST_READ_SECONDS = 86_400.0

#: Told how many bytes of a body are held.
BodyWatch = Callable[[int], None]
_watching: ContextVar["_Watching | None"] = ContextVar("watching", default=None)


@asynccontextmanager
async def watching_bodies(watch: BodyWatch) -> AsyncIterator[None]:
    """Tell `watch` of every body that is read within the block; what it raises ends the reading.

    By the context, for between a call and its response stands an SDK, which passes nothing on. Where the block raises,
    the bodies are closed: some SDKs leave one that nobody reads on open, and its server sends and sends.
    """
    watching = _Watching(watch)
    token = _watching.set(watching)
    try:
        yield
    except Exception:
        for body in watching.bodies:
            await body.aclose()
        raise
    finally:
        _watching.reset(token)


@dataclass
class _Watching:
    watch: BodyWatch
    bodies: list["_WatchedBody"] = field(default_factory=list)


class _WatchedBody(httpx2.AsyncByteStream):
    """A body that tells what of it is held: all of it, or of a stream of events the line that is not complete."""

    def __init__(self, body: httpx2.AsyncByteStream, watch: BodyWatch, *, by_lines: bool) -> None:
        self._body = body
        self._watch = watch
        self._by_lines = by_lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = 0
        async for chunk in self._body:
            line_end = chunk.rfind(b"\n") if self._by_lines else -1
            held = held + len(chunk) if line_end < 0 else len(chunk) - line_end - 1
            self._watch(held)
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Opens TCP connections to checked addresses only. `private_hosts` are names whose addresses may be private."""

    def __init__(self, private_hosts: Collection[str] = ()) -> None:
        self._private_hosts = frozenset(host.lower() for host in private_hosts)
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        private_allowed = host.lower() in self._private_hosts
        try:
            addresses = await checked_addresses(host, port, private_allowed=private_allowed)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        for address in addresses[:-1]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the interface
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise EgressRefused("Connections to a Unix socket are not allowed; use an http or https URL.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class CheckedTransport(httpx2.AsyncHTTPTransport):
    """HTTP over `CheckedBackend`. With `origin` (a URL) it serves that scheme, host and port alone.

    The requests of such a client carry credentials; binding them to the origin keeps them from any other host.
    """

    def __init__(self, *, private_hosts: Collection[str] = (), origin: str | None = None) -> None:
        tls = _tls()
        super().__init__(verify=tls)
        # The parent has no parameter for the network backend, and its pool has not been used yet.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=CheckedBackend(private_hosts),
        )
        self._origin = None if origin is None else _origin(_parse(origin))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._origin is not None and _origin(request.url) != self._origin:
            raise foreign_origin(request.url.host)
        # What counts a body counts what comes over the wire, and a megabyte of gzip may be a gigabyte of text.
        request.headers["Accept-Encoding"] = PLAIN
        response = await super().handle_async_request(request)
        if 300 <= response.status_code < 400:
            await response.aclose()
            raise refused_redirect(request.url.host, response.status_code)
        if (encoding := response.headers.get("content-encoding", PLAIN).lower()) != PLAIN:
            await response.aclose()
            raise refused_encoding(request.url.host, encoding)
        if (watching := _watching.get()) is not None and isinstance(response.stream, httpx2.AsyncByteStream):
            by_lines = response.headers.get("content-type", "").startswith("text/event-stream")
            response.stream = _WatchedBody(response.stream, watching.watch, by_lines=by_lines)
            watching.bodies.append(response.stream)
        return response


def checked_client(*, private_hosts: Collection[str] = (), origin: str | None = None) -> httpx2.AsyncClient:
    """A client whose every connection is checked. Close it with `aclose()`; use it on one event loop only.

    Raises `EgressRefused` when `origin` is not an http or https URL; so do requests that break a rule.
    """
    return httpx2.AsyncClient(
        transport=CheckedTransport(private_hosts=private_hosts, origin=origin),
        timeout=httpx2.Timeout(LONGEST_READ_SECONDS, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """One context for the process: loading the certificates takes longer than a call does."""
    return httpx2.create_ssl_context()


def _parse(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise refused_url(url, str(error)) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise refused_url(url, "it has to start with http:// or https:// and to name a host")
    return parsed


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    standard = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host.lower(), url.port or standard
