"""The paths under which designs are deployed: one canonical spelling, or a sentence that proposes it."""

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

from deployments.models.deployment import ENDPOINT_PREFIX

MAX_SEGMENTS: Final = 8
MAX_CHARACTERS: Final = 200

#: First segments that the site keeps for itself; `openapi.json` is kept wherever it stands.
RESERVED_FIRST: Final = frozenset({"api", "deployed", "docs", "openapi", "schema"})
RESERVED_ANYWHERE: Final = frozenset({"openapi.json"})

_PATH = re.compile(r"[a-z0-9_/-]+", re.ASCII)
_SEGMENT = re.compile(r"[a-z0-9_-]+", re.ASCII)
_NOT_ALLOWED = re.compile(r"[^a-z0-9_/-]+", re.ASCII)
_PREFIX = ENDPOINT_PREFIX.strip("/")

# Letters of other scripts that look like ours: only a proposal is made from them, nothing is ever accepted through it.
_LOOK_ALIKES = str.maketrans(
    {
        look_alike: letter
        for letter, look_alikes in {
            "a": "\u0430\u03b1",
            "c": "\u0441",
            "d": "\u0501",
            "e": "\u0435\u03b5",
            "h": "\u04bb",
            "i": "\u0456\u03b9\u0131",
            "j": "\u0458",
            "k": "\u043a\u03ba",
            "m": "\u043c",
            "o": "\u043e\u03bf",
            "p": "\u0440\u03c1",
            "s": "\u0455",
            "t": "\u0442\u03c4",
            "u": "\u03c5",
            "v": "\u03bd",
            "x": "\u0445\u03c7",
            "y": "\u0443",
            "-": "\u2010\u2011\u2012\u2013\u2014\u2212",
            "/": "\u2044\u2215\uff0f",
        }.items()
        for look_alike in look_alikes
    }
)


class InvalidEndpointPath(ValueError):
    """The path cannot be an endpoint; the message says why and which path could be used instead (`proposal`)."""

    def __init__(self, reason: str, *, proposal: str) -> None:
        self.proposal = proposal
        super().__init__(f"{reason} Use {proposal} instead.")


def canonical_endpoint_path(text: str) -> str:
    """`feedback-analysis`, `/feedback-analysis/` and `/api/deployed/feedback-analysis` are all the last of these.

    Raises `InvalidEndpointPath`.
    """
    rest = _without_prefix(text)
    segments = rest.split("/")
    if (reason := _reason_against(rest, segments)) is not None:
        raise InvalidEndpointPath(reason, proposal=_propose(text))
    return ENDPOINT_PREFIX + rest


def may_be_endpoint_path(rest: str) -> bool:
    """Whether the part after `/api/deployed/` has the characters of a canonical path and no others."""
    return _PATH.fullmatch(rest) is not None


def _without_prefix(text: str) -> str:
    rest = text.removeprefix("/").removesuffix("/")
    if rest == _PREFIX:
        return ""
    return rest.removeprefix(f"{_PREFIX}/")


def _reason_against(rest: str, segments: list[str]) -> str | None:
    if not rest:
        return "An endpoint path needs at least one segment."
    if len(segments) > MAX_SEGMENTS:
        return f"An endpoint path has at most {MAX_SEGMENTS} segments, and this one has {len(segments)}."
    if len(ENDPOINT_PREFIX) + len(rest) > MAX_CHARACTERS:
        return f"An endpoint path has at most {MAX_CHARACTERS} characters, {ENDPOINT_PREFIX} included."
    if (reserved := RESERVED_ANYWHERE.intersection(segments) or RESERVED_FIRST.intersection(segments[:1])) != set():
        return f"{min(reserved)!r} is reserved."
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            return _reason_against_segment(segment)
    return None


def _reason_against_segment(segment: str) -> str:
    if not segment:
        return "An endpoint path has no empty segments."
    if segment in {".", ".."}:
        return f"{segment!r} is no segment of an endpoint path."
    if "%" in segment:
        return "An endpoint path is written without percent signs."
    if not segment.isascii():
        wrong = next(character for character in segment if not character.isascii())
        return f"{wrong!r} (U+{ord(wrong):04X}) is no letter of an endpoint path, which has a-z, 0-9, - and _ only."
    if segment.lower() != segment:
        return "An endpoint path is in lower case."
    return f"The segment {segment!r} has other characters than a-z, 0-9, - and _."


def _propose(text: str) -> str:
    """The canonical path that is nearest to the text. Always one that is accepted."""
    plain = unicodedata.normalize("NFKD", unquote(text).casefold().translate(_LOOK_ALIKES))
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    plain = plain.translate(_LOOK_ALIKES).strip().replace("\\", "/").strip("/").removeprefix(f"{_PREFIX}/")
    segments = [_NOT_ALLOWED.sub("-", segment).strip("-") for segment in plain.split("/")]
    segments = [segment for segment in segments if segment][:MAX_SEGMENTS]
    if not segments or segments == _PREFIX.split("/"):
        segments = ["my-endpoint"]
    if segments[0] in RESERVED_FIRST:
        segments[0] += "-endpoint"
    return ENDPOINT_PREFIX + "/".join(segments)[: MAX_CHARACTERS - len(ENDPOINT_PREFIX)].strip("/-")
