"""JSON that a command is given: in a file, on standard input, or written out."""

import json
import sys
from pathlib import Path

from django.core.management.base import CommandError

from executor.json_types import Json, JsonObject


def read_json(path: str) -> Json:
    """What the file holds; `-` is standard input. Raises `CommandError`."""
    name = "Standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise CommandError(f"{name} is not text in UTF-8: {error}.") from None
    return parse_json(text, name=name)


def read_input(given: str) -> JsonObject:
    """The input of an execution: `@file`, `-` for standard input, or the JSON object itself. Raises `CommandError`."""
    if given == "-" or given.startswith("@"):
        name, value = given.removeprefix("@"), read_json(given.removeprefix("@"))
    else:
        name, value = "--input", parse_json(given, name="--input")
    if not isinstance(value, dict):
        raise CommandError(f"""{name} has to hold a JSON object, as '{{"text": "Hello"}}'.""")
    return value


def parse_json(text: str, *, name: str) -> Json:
    """Raises `CommandError` where it is none: numbers that JSON does not have are refused as well."""
    try:
        value: Json = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{name} is not JSON: {error}.") from None
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
