"""What a variable of the environment takes: in words, for refusals and for the documents, and as checks of URLs."""

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


CommaList = Annotated[list[str], NoDecode, BeforeValidator(_split_commas)]
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
