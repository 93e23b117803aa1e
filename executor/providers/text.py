"""Text at the edge: what JSON allows and databases refuse is taken out once, where it comes in."""

import json
import re

from executor.json_types import Json

_ESCAPED = re.compile(r"\\u(?:0000|d[89a-f][0-9a-f]{2})", re.IGNORECASE)
_FENCED = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


def clean_text(text: str) -> str:
    """The text without NUL, and with U+FFFD for each lone surrogate (a matching pair becomes its character)."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_json_text(text: str) -> str:
    """An answer in JSON, out of its code fence, and clean inside its strings too, where `\\u0000` hides a NUL."""
    text = clean_text(text)
    if fenced := _FENCED.match(text):
        text = fenced[1]
    if not _ESCAPED.search(text):
        return text
    try:
        return json.dumps(_clean(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _clean(value: Json) -> Json:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): _clean(item) for key, item in value.items()}
    return value
