"""Outgoing connections that cannot be led into the private network.

Names are resolved here, every address is checked, and the connection goes to the address that was checked, so that a
name which resolves differently a moment later changes nothing. TLS still verifies the name. Redirects are not
followed, and proxies from the environment are not used: both would choose the address elsewhere.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Collection, Iterable
from functools import lru_cache

import httpcore2
import httpx2

from executor.errors import ExecutorError

IPv4 = ipaddress.IPv4Address
IPv6 = ipaddress.IPv6Address

# Public by their range and yet internal: where clouds answer their machines' questions about credentials.
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(address)
    for address in ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254")
)
# Special ranges that Python 3.11's `is_global` does not know, or does not count as special.
SPECIAL_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
        "::ffff:0:0:0/96",
    )
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
ISATAP_MARKS = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")

MAX_CONNECTIONS = 1_000
MAX_IDLE_CONNECTIONS = 200
IDLE_SECONDS = 30.0
CONNECT_SECONDS = 10.0
# Callers set their own deadlines; this only bounds a connection that everyone has forgotten.
LONGEST_READ_SECONDS = 86_400.0


class EgressRefused(ExecutorError):
    """A connection that the rules on outgoing traffic forbid. Trying again cannot help; the message says what can."""


def refusal(address: str, *, private_allowed: bool = False) -> str | None:
    """Why no connection may go to this IP address, None when one may.

    `private_allowed` opens private and loopback ranges. Link-local addresses, multicast and the clouds' metadata
    services stay closed: no model and no webhook lives there.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "not an IP address"
    for candidate in (parsed, *_embedded(parsed)):
        if candidate in METADATA_ADDRESSES or candidate.is_link_local:
            return "link-local or a cloud's metadata service"
        if candidate.is_multicast:
            return "multicast"
        if not private_allowed and not _is_public(candidate):
            return "private or reserved"
    return None


def _is_public(address: IPv4 | IPv6) -> bool:
    if any(address in network for network in SPECIAL_NETWORKS):
        return False
    # A mapped address is judged by the IPv4 address in it.
    return address.is_global or bool(_embedded(address))


def _embedded(address: IPv4 | IPv6) -> list[IPv4]:
    """The IPv4 addresses that an IPv6 address leads to by one of the transition mechanisms."""
    if isinstance(address, IPv4):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    packed = address.packed
    if address in NAT64 or packed[8:12] in ISATAP_MARKS or (address in IPV4_COMPATIBLE and int(address) > 1):
        found.append(IPv4(packed[12:]))
    return [inner for inner in found if inner is not None]


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
        failure: Exception = httpcore2.ConnectError(f"The name {host!r} has no address.")
        for address in await self._checked_addresses(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the interface
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise EgressRefused("Connections to a Unix socket are not allowed; use an http or https URL.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _checked_addresses(self, host: str, port: int) -> list[str]:
        """All addresses of the name. One that is refused refuses the name: a mixed answer is how an attack looks."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise httpcore2.ConnectError(f"The name {host!r} could not be resolved ({error}).") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        private_allowed = host.lower() in self._private_hosts
        for address in addresses:
            if reason := refusal(address, private_allowed=private_allowed):
                raise EgressRefused(
                    f"A connection to {host!r} was refused: its address {address} is {reason}."
                    " An operator can allow a private host in the settings or by a base URL in the environment."
                )
        return addresses


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
            raise EgressRefused(
                f"A request to {request.url.host!r} was refused: the credentials belong to another host."
            )
        response = await super().handle_async_request(request)
        if 300 <= response.status_code < 400:
            await response.aclose()
            raise EgressRefused(
                f"{request.url.host!r} answered with a redirect ({response.status_code}). Redirects are not followed:"
                " give the final URL instead."
            )
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
        raise EgressRefused(f"{url!r} is not a URL ({error}).") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise EgressRefused(f"{url!r} is not a URL that starts with http:// or https:// and names a host.")
    return parsed


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    standard = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host.lower(), url.port or standard
