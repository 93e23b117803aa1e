"""JSON as strict as its readers need it: whatever the database, a prompt or a schema would choke on is a 400 here."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import IO, Any, NoReturn

from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from rest.problems import ApiProblem, FieldError

MAX_DEPTH = 100

_LARGEST = int(sys.float_info.max)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
#: A string, skipped, or a bracket.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')


class _Duplicate(ValueError):
    """A key stands twice in one object."""


class _NotJson(ValueError):
    """NaN or Infinity, which JSON does not have."""


class StrictJSONParser(JSONParser):
    """`application/json` in UTF-8, at most 100 levels deep.

    Refused with 400 and the place: NaN, Infinity and numbers that no double holds, NUL and lone surrogates in strings
    and keys, duplicate keys, invalid UTF-8. A blank body is an empty object only for views with
    `blank_body_is_object = True`. Any other Content-Type, and a Content-Encoding, is a 415.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        context = parser_context or {}
        _check_type(media_type, context.get("request"))
        body = stream.read()
        if not body.strip() and getattr(context.get("view"), "blank_body_is_object", False):
            return {}
        return read_json(body)


def refuse_blank_body(request: Request) -> None:
    """Raises the 400 for a request without a body, which DRF never shows to a parser."""
    if request.stream is None:
        _refuse("The body is empty. Send a JSON value.")


def read_json(body: bytes) -> Any:
    """The value of a JSON text. Raises `ApiProblem` (400 `malformed-json`) with a sentence and the place."""
    text = _decode(body)
    if not text.strip():
        _refuse("The body is empty. Send a JSON value.")
    value = _load(text)
    _check(value, text)
    return value


def _check_type(media_type: str | None, request: Request | None) -> None:
    essence = (media_type or "application/json").split(";")[0].strip().lower()
    encoding = "" if request is None else request.META.get("HTTP_CONTENT_ENCODING", "")
    if essence == "application/json" and encoding.strip().lower() in ("", "identity"):
        return
    raise ApiProblem(
        415, "unsupported-media-type", "Send plain JSON with `Content-Type: application/json` and no Content-Encoding."
    )


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(f"The body is not UTF-8: byte {error.start} cannot be read. Send UTF-8.")


def _load(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        _refuse(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.")
    except _Duplicate as error:
        _refuse(f"The key {error} stands twice in one object. Send it once.")
    except _NotJson as error:
        _refuse(f"{error} is not JSON. Send a finite number, null or a string.")
    except RecursionError:
        _refuse_depth(text)
    except ValueError:  # Python refuses to read integers of thousands of digits
        _refuse(f"A number is too large. Send numbers between -{sys.float_info.max} and {sys.float_info.max}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _Duplicate(_shown(key))
        seen.add(key)
    return value


def _constant(name: str) -> NoReturn:
    raise _NotJson(name)


def _check(root: Any, text: str) -> None:
    """One walk over the value, without recursion. Text without escapes cannot hide NUL or a surrogate."""
    strings = "\\u" in text
    pending: list[tuple[Any, int, Any]] = [(root, 0, None)]
    while pending:
        value, depth, place = pending.pop()
        kind = type(value)
        if kind is str:
            if strings:
                _check_string(value, place)
        elif kind is dict or kind is list:
            if depth == MAX_DEPTH:
                _refuse_depth(text)
            if strings and kind is dict:
                for key in value:
                    _check_string(key, place, what="The key")
            pending += _children(value, depth + 1, place, strings=strings)
        elif kind is float or kind is int:
            _check_number(value, place)


def _children(value: Any, depth: int, place: Any, *, strings: bool) -> Iterator[tuple[Any, int, Any]]:
    """What may be wrong below: containers and numbers, and strings if any has an escape. A place is a linked list."""
    for key, child in value.items() if type(value) is dict else enumerate(value):
        kind = type(child)
        if kind is dict or kind is list or kind is float or kind is int or (strings and kind is str):
            yield child, depth, (key, place)


def _check_number(value: float, place: Any) -> None:
    if not isfinite(value) if type(value) is float else not -_LARGEST <= value <= _LARGEST:
        _refuse(f"The number at {_pointer(place) or 'the top'} is too large for a double.", place, code="number")


def _check_string(value: str, place: Any, what: str = "The string") -> None:
    # Where it is, is told of what is refused alone: for each string it would cost the length of its whole path.
    if "\x00" in value:
        where = _where(what, value, place)
        _refuse(f"{where} contains NUL (\\u0000). Leave it out.", place, code="nul")
    if not value.isascii() and _LONE_SURROGATE.search(value):
        where = _where(what, value, place)
        _refuse(f"{where} contains half of a surrogate pair. Send whole characters.", place, code="surrogate")


def _where(what: str, value: str, place: Any) -> str:
    return f"{what} {_shown(value)} at {_pointer(place) or 'the top'}"


def _refuse_depth(text: str) -> NoReturn:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        first = text[match.start()]
        depth += (first in "[{") - (first in "]}")
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, match.start()) + 1
            column = match.start() - text.rfind("\n", 0, match.start())
            _refuse(f"The body is nested deeper than {MAX_DEPTH} levels at line {line}, column {column}. Flatten it.")
    _refuse(f"The body is nested deeper than {MAX_DEPTH} levels. Flatten it.")


def _refuse(sentence: str, place: Any = None, *, code: str = "json") -> NoReturn:
    errors = () if place is None else (FieldError(_pointer(place), code, sentence),)
    raise ApiProblem(400, "malformed-json", sentence, errors=errors)


def _pointer(place: Any) -> str:
    parts: list[str] = []
    while place is not None:
        key, place = place
        parts.append(_plain(str(key)).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{part}" for part in reversed(parts))


def _shown(text: str) -> str:
    return json.dumps(_plain(text if len(text) <= 40 else f"{text[:39]}…"), ensure_ascii=False)


def _plain(text: str) -> str:
    """What can be sent back: the answer has to be valid itself."""
    return _LONE_SURROGATE.sub("\ufffd", text).replace("\x00", "\ufffd")
