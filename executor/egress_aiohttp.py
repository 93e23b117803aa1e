"""Outgoing HTTP over aiohttp, which calls to models by the thousand ride on, kept to the rules of `egress`.

TLS verifies the name. Redirects are not followed, cookies not kept, and proxies and passwords of the environment not
used.
"""

import ipaddress
import socket
from collections.abc import Collection, Mapping
from functools import lru_cache

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from executor.egress import (
    CONNECT_SECONDS,
    IDLE_SECONDS,
    EgressRefused,
    check_address,
    checked_addresses,
    foreign_origin,
    refused_url,
)

# Only for the burst of connections that a fan-out opens at once; what is kept has been checked.
NAME_SECONDS = 10
NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class CheckedResolver(AbstractResolver):
    """Gives checked addresses only. `private_hosts` are names whose addresses may be private."""

    def __init__(self, private_hosts: Collection[str] = ()) -> None:
        self._private_hosts = frozenset(host.lower() for host in private_hosts)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await checked_addresses(host, port, private_allowed=self.may_be_private(host))
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=NUMERIC,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""

    def may_be_private(self, host: str) -> bool:
        return host.lower() in self._private_hosts


class CheckedConnector(aiohttp.TCPConnector):
    """Connects to checked addresses only. With `origin` it serves that scheme, host and port alone.

    The requests of such a connector carry credentials; binding them to the origin keeps them from any other host.
    """

    def __init__(self, *, private_hosts: Collection[str] = (), origin: URL | None = None) -> None:
        self._checked = CheckedResolver(private_hosts)
        super().__init__(resolver=self._checked, limit=0, keepalive_timeout=IDLE_SECONDS, ttl_dns_cache=NAME_SECONDS)
        self._origin = origin

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature of the interface
    ) -> Connection:
        host = req.url.raw_host or ""
        if self._origin is not None and req.url.origin() != self._origin:
            raise foreign_origin(host)
        # These never reach a resolver: the parent takes them for addresses.
        if ":" in host or host.replace(".", "").isdigit():
            _check_literal(host, private_allowed=self._checked.may_be_private(host))
        return await super().connect(req, traces, timeout)


def checked_session(
    *, private_hosts: Collection[str] = (), origin: URL | None = None, headers: Mapping[str, str] | None = None
) -> aiohttp.ClientSession:
    """A session whose every connection is checked. Make it, use it and `close()` it on one event loop.

    `headers` go with every request; where they are a credential, `origin` has to say whose.

    Callers set their own deadlines, bound what they read, and pass `allow_redirects=False`. Requests that break a rule
    raise `EgressRefused`. Answers are not decompressed: a small one could fill the memory.
    """
    return aiohttp.ClientSession(
        connector=CheckedConnector(private_hosts=private_hosts, origin=origin),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
        auto_decompress=False,
        trust_env=False,
    )


def parse_url(url: str) -> URL:
    """The URL, to be built once and used for every request. Raises `EgressRefused` when none can go there."""
    try:
        parsed = URL(url)
    except ValueError as error:
        raise refused_url(url, str(error)) from error
    if parsed.user is not None or parsed.password is not None:
        # Not quoted: this message may be shown where the password may not.
        raise EgressRefused("Leave user and password out of the base URL: the key has a field of its own.")
    if parsed.scheme not in ("http", "https") or not parsed.raw_host:
        raise refused_url(url, "it has to start with http:// or https:// and to name a host")
    if _is_strange_number(parsed.raw_host):
        raise refused_url(url, "write an address as four plain numbers with dots, or in brackets")
    return parsed


def _is_strange_number(host: str) -> bool:
    """Whether it is an address in a spelling that every library reads in its own way: 0177.0.0.1, 127.1, 0x7f.1."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    if not (last.isdigit() or last.startswith("0x")):
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False


@lru_cache(maxsize=1024)
def _check_literal(host: str, *, private_allowed: bool) -> None:
    check_address(host, host, private_allowed=private_allowed)
