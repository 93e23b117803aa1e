"""The rules on outgoing connections: none can be led into the private network.

Names are resolved here, every address is checked, and the connection goes to the address that was checked, so that a
name which resolves differently a moment later changes nothing. The two clients that keep to these rules stand in
`egress_aiohttp` and `egress_httpx`; a process that only checks addresses imports neither.
"""

import asyncio
import ipaddress
import logging
import re
import socket

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
_USER_INFO = re.compile("//[^/@]*@")
ISATAP_MARKS = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
CONNECT_SECONDS = 10.0


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


async def checked_addresses(host: str, port: int, *, private_allowed: bool = False) -> list[str]:
    """All addresses of the name, to be connected to as they are.

    Raises `EgressRefused` when one of them is refused: a mixed answer is how an attack looks. Raises `OSError` when
    the name has no address.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(f"The name {host!r} could not be resolved ({error}).") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise OSError(f"The name {host!r} has no address.")
    for address in addresses:
        check_address(host, address, private_allowed=private_allowed)
    return addresses


def check_address(host: str, address: str, *, private_allowed: bool) -> None:
    """Raises `EgressRefused` when no connection to `host` may go to this address of it."""
    if reason := refusal(address, private_allowed=private_allowed):
        # For the operator alone: who may name hosts could otherwise ask us for the addresses of the private network.
        log.warning("A connection to %r was refused: its address %s is %s.", host, address, reason)
        raise EgressRefused(
            f"A connection to {host!r} was refused: its address is {reason}; the log says which it is."
            " An operator can allow a private host in the settings or by a base URL in the environment."
        )


def refused_url(url: str, reason: str) -> EgressRefused:
    """The error for an origin that is no URL to send requests to. A password in it is not quoted."""
    return EgressRefused(f"{_USER_INFO.sub('//…@', url)!r} is not a URL that requests can go to: {reason}.")


def foreign_origin(host: str | None) -> EgressRefused:
    """The error for a request to another origin than the one that its credentials are bound to."""
    return EgressRefused(f"A request to {host!r} was refused: the credentials belong to another host.")


def refused_encoding(host: str | None, encoding: str) -> EgressRefused:
    """The error for an answer that is larger than it looks."""
    return EgressRefused(
        f"{host!r} answered in the encoding {encoding[:40]!r}, which it was asked not to use. Have it answer plainly."
    )


def refused_redirect(host: str | None, status: int) -> EgressRefused:
    """The error for an answer that sends the request elsewhere."""
    return EgressRefused(
        f"{host!r} answered with a redirect ({status}). Redirects are not followed: give the final URL instead."
    )
