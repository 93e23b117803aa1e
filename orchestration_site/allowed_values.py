"""What a variable of the environment takes: in words, for refusals and for the documents, and as checks."""

import ipaddress
import types
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from orchestration_site.factories import mail


@dataclass(frozen=True)
class Takes:
    """What a value has to be, where its type does not say it."""

    words: str


def require_scheme(*schemes: str) -> Callable[[str], str]:
    """A check of a URL that names no part of it: it may hold a password."""

    def check(value: str) -> str:
        if not value:
            return value
        try:
            url = urlsplit(value)
            _ = url.port
        except ValueError:
            raise ValueError(
                "it is no URL that can be read; in a password, characters other than letters and digits have to be"
                " percent-encoded (/ is %2F, @ is %40, # is %23)"
            ) from None
        if url.scheme not in schemes:
            raise ValueError(f"it has to begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return value

    return check


def _url(*schemes: str) -> tuple[AfterValidator, Takes]:
    return AfterValidator(require_scheme(*schemes)), Takes(" or ".join(f"{scheme}://…" for scheme in schemes))


def _split_commas(value: object) -> object:
    """Lines divide as commas do: a file may hold one key a line."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.replace("\n", ",").split(",") if part.strip()]


def _require_host_names(value: list[str]) -> list[str]:
    for host in value:
        if "/" in host or (":" in host and not host.startswith("[")):
            raise ValueError(f"{host!r} is no host name alone; leave out https:// and the port")
    return value


def _require_origins(value: list[str]) -> list[str]:
    for origin in value:
        if not origin.startswith(("https://", "http://")):
            raise ValueError(f"{origin!r} does not begin with https://")
    return value


def _name_networks(value: list[str]) -> list[str]:
    return [str(ipaddress.ip_network(part, strict=False)) for part in value]


def _require_bounded(networks: list[str]) -> list[str]:
    if any(network.endswith("/0") for network in networks):
        raise ValueError("it holds every address, so that any caller could say it came from another one")
    return networks


def _require_mail_server(value: str) -> str:
    mail(value)
    return value


CommaList = Annotated[list[str], NoDecode, BeforeValidator(_split_commas)]
HostNames = Annotated[CommaList, AfterValidator(_require_host_names)]
Origins = Annotated[CommaList, AfterValidator(_require_origins)]
Networks = Annotated[CommaList, AfterValidator(_name_networks)]
ProxyNetworks = Annotated[Networks, AfterValidator(_require_bounded)]
MailUrl = Annotated[str, AfterValidator(_require_mail_server)]
DatabaseUrl = Annotated[str, *_url("postgres", "postgresql", "sqlite")]
BrokerUrl = Annotated[str, *_url("redis", "rediss", "amqp", "amqps")]
ChannelUrl = Annotated[str, *_url("redis", "rediss", "unix")]
WebUrl = Annotated[str, *_url("https", "http")]


def words_of_allowed(field: FieldInfo) -> str:
    """What the variable takes: `a whole number from 2 to 500`."""
    for said in field.metadata:
        if isinstance(said, Takes):
            return said.words
    kind = _kind_of(field.annotation)
    if get_origin(kind) is Literal:
        *most, last = get_args(kind)
        return f"{', '.join(most)} or {last}"
    return _WORDS[get_origin(kind) or kind] + _bounds_of(field)


_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    list: "words with commas between",
    Path: "a path",
    str: "text",
    SecretStr: "text",
}


def _kind_of(annotation: Any) -> Any:
    """The type without the None that stands for "not set"."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(each for each in get_args(annotation) if each is not types.NoneType)
    return annotation


def _bounds_of(field: FieldInfo) -> str:
    bounds = {
        name: getattr(said, name) for said in field.metadata for name in ("ge", "gt", "le") if hasattr(said, name)
    }
    low, over, high = bounds.get("ge"), bounds.get("gt"), bounds.get("le")
    below = "" if high is None else f" and {high} at most" if low is None else f" to {high}"
    if low is not None:
        return f" from {low}{below or ' up'}"
    return below if over is None else f" over {over}{below}"
