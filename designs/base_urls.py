"""Which URLs accounts and webhooks may have, without asking the network. Connections check the addresses again."""

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from executor.egress import refusal

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*\.?", re.ASCII
)
_BY_OPERATOR = "An operator can allow the host in PRIVATE_HOSTS."


def problem_with_base_url(url: str, *, may_be_private: Callable[[str], bool]) -> str | None:
    """A sentence when it cannot be used, else None.

    It has to be https with a public host. `may_be_private` says which hosts the operator has allowed: they may be in
    a private network and be spoken to by plain http.
    """
    parts = _split(url)
    if parts is not None and (parts.username is not None or parts.password is not None):
        return "Leave user and password out of the URL: the key goes into api_key."
    if parts is not None and (parts.query or parts.fragment or "?" in url or "#" in url):
        return "Leave ? and # and what follows out of the URL."
    return _problem_with_parts(parts, "the key", may_be_private)


def problem_with_webhook_url(url: str, *, may_be_private: Callable[[str], bool]) -> str | None:
    """The same of a webhook, which may have a query."""
    parts = _split(url)
    if parts is not None and (parts.username is not None or parts.password is not None):
        return "Leave user and password out of the URL: receivers know us by the signature."
    if parts is not None and "#" in url:
        return "Leave # and what follows out of the URL."
    return _problem_with_parts(parts, "the alert", may_be_private)


def _problem_with_parts(parts: SplitResult | None, what: str, may_be_private: Callable[[str], bool]) -> str | None:
    if parts is None or not parts.hostname:
        return "This is not a URL. Write https://host/path."
    if parts.scheme not in ("http", "https"):
        return "The URL has to start with https://."
    allowed = may_be_private(parts.hostname)
    if parts.scheme == "http" and not allowed:
        return f"The URL has to start with https://, so that nobody reads {what} on its way. {_BY_OPERATOR}"
    return _problem_with_host(parts.hostname, allowed=allowed)


def host_of(url: str) -> str:
    """The host that a credential is bound to; empty for the provider's own."""
    parts = _split(url)
    return (parts.netloc if parts else "").lower()


def _problem_with_host(host: str, *, allowed: bool) -> str | None:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _problem_with_name(host, allowed=allowed)
    reason = refusal(host, private_allowed=allowed)
    return f"The address {host} is {reason}. {_BY_OPERATOR}" if reason else None


def _problem_with_name(host: str, *, allowed: bool) -> str | None:
    # The last label of a name is no number: 127.1 and 0x7f.1 are other spellings of addresses.
    last = host.rstrip(".").rpartition(".")[2]
    if not _HOST_NAME.fullmatch(host) or last.isdigit() or last.startswith("0x"):
        return f"{host} is not a host name. Write the name as DNS has it."
    if not allowed and (host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")):
        return f"The host {host} is this machine. {_BY_OPERATOR}"
    return None


def _split(url: str) -> SplitResult | None:
    if not url.isascii() or any(character.isspace() or character in "\\\x00" for character in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port
    except ValueError:
        return None
    return parts
