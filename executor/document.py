"""Designs to JSON and back: the one door through which a document becomes a `Design`."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, cast

from pydantic import Field, ValidationError, create_model

from executor.errors import MalformedDesign, Problem
from executor.hostile_json import MAX_PROBLEMS, find_hostile_values
from executor.json_types import JsonObject
from executor.patterns import PATTERNS
from executor.pointers import pointer_to
from executor.spec import MAX_BLOCKS, Block, BlockConfig, BlockData, Design
from executor.spellings import RespeltDocument, respell_document

MAX_BYTES = 1_048_576
MAX_DEPTH = 100
# The shortest value with its comma takes two bytes, so a document within MAX_BYTES cannot hold more.
_MAX_VALUES = MAX_BYTES // 2


def parse_design(document: object) -> Design:
    """The design that a decoded JSON document describes, other spellings (`executor.spellings`) included.

    Raises `MalformedDesign` with every problem of its structure, each with a pointer into the document as given.
    """
    if not isinstance(document, dict):
        raise MalformedDesign([Problem("", "wrong_type", "A design has to be a JSON object.")])
    if hostile := find_hostile_values(document, max_depth=MAX_DEPTH, max_values=_MAX_VALUES):
        raise MalformedDesign(hostile)
    if len(_compact(document)) > MAX_BYTES:
        raise MalformedDesign([Problem("", "too_large", f"A design may take {MAX_BYTES} bytes of JSON at most.")])
    respelt = respell_document(document)
    problems = list(respelt.problems)
    if not _names_format_1(respelt.document):
        problems.append(Problem("/format", "unknown_format", "Only documents of format 1 can be read."))
        respelt.document["format"] = 1
    try:
        design = _DOCUMENT_MODEL.model_validate_json(_compact(respelt.document), strict=True)
    except ValidationError as refused:
        raise MalformedDesign([*problems, *_explain(refused, respelt)]) from None
    if problems:
        raise MalformedDesign(problems)
    return design


def to_document(design: Design) -> JsonObject:
    """The design as JSON in our spelling, with the fields that were given and no others, in the order of format 1.

    What was left out stays left out, so a design never grows past a limit by being stored. `parse_design` of it is
    the same design again.
    """
    given = design.model_dump(mode="json", exclude_unset=True)
    document: JsonObject = {"format": 1, "name": design.name, "blocks": [], "connections": []}
    document |= given
    return {name: document[name] for name in Design.model_fields if name in document}


def content_hash(design: Design) -> str:
    """SHA-256 (hex) of the whole document in our spelling, whatever the order of its keys.

    It identifies what is stored, so moving a block on the canvas changes it too.
    """
    canonical = json.dumps(to_document(design), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def design_json_schema() -> JsonObject:
    """The JSON Schema of a design document in our spelling, each pattern's config included."""
    return cast(JsonObject, _DOCUMENT_MODEL.model_json_schema())


def _block_model(name: str, config: type[BlockConfig]) -> type[Block]:
    """The block of one pattern: its `type` is the pattern's name, its config the pattern's own."""
    title = name.capitalize()
    needs_config = any(field.is_required() for field in config.model_fields.values())
    data = create_model(
        f"{title}Data", __base__=BlockData, config=(config, ... if needs_config else Field(default_factory=config))
    )
    data_model = cast(type[BlockData], data)
    kind: Any = Literal[name]
    return create_model(f"{title}Block", __base__=Block, type=(kind, ...), data=(data_model, ...))


def _document_model() -> type[Design]:
    models = tuple(_block_model(name, pattern.config) for name, pattern in PATTERNS.items())
    any_block = Annotated[Union[models], Field(discriminator="type")]  # type: ignore[valid-type]  # noqa: UP007
    blocks: Any = tuple[any_block, ...]
    return create_model("DesignDocument", __base__=Design, blocks=(blocks, Field(default=(), max_length=MAX_BLOCKS)))


_DOCUMENT_MODEL = _document_model()


def _names_format_1(document: JsonObject) -> bool:
    number = document.get("format", 1)
    return type(number) is int and number == 1


def _compact(document: JsonObject) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _explain(refused: ValidationError, respelt: RespeltDocument) -> Iterator[Problem]:
    """Each error at most once a place: the branches of a union would each complain about the same value.

    Of a document with more than `MAX_PROBLEMS` wrong places the rest is only counted.
    """
    explained: set[str] = set()
    for number, error in enumerate(refused.errors(include_url=False, include_input=False)):
        if len(explained) == MAX_PROBLEMS:
            more = refused.error_count() - number
            yield Problem("", "more_errors", f"{more} more errors are not listed.")
            return
        parts, in_branch = _place_in_document(error["loc"], error["type"], respelt.document)
        if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
            parts.append("type")
        pointer = respelt.original(pointer_to(parts))
        if in_branch and pointer in explained:
            continue
        explained.add(pointer)
        yield Problem(pointer, *_code_and_message(error["type"], error["msg"], error.get("ctx", {}), parts))


def _place_in_document(loc: tuple[str | int, ...], kind: str, document: Any) -> tuple[list[str | int], bool]:
    """Pydantic's path without what is not in the document: names of union branches. And whether there was one."""
    parts: list[str | int] = []
    value, in_branch = document, False
    for number, step in enumerate(loc):
        is_missing_key = kind == "missing" and number == len(loc) - 1
        is_branch_of_block = number == 2 and loc[0] == "blocks"
        if is_missing_key or (not is_branch_of_block and _has(value, step)):
            parts.append(step)
            value = None if is_missing_key else value[step]
        elif not is_branch_of_block:
            in_branch = True
    return parts, in_branch


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


_SUBJECT = re.compile("^(Input|String|Tuple|Dictionary)(?= should)")
_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_key",
    "union_tag_not_found": "missing",
    "union_tag_invalid": "unknown_pattern",
    "literal_error": "unknown_value",
    "string_pattern_mismatch": "bad_format",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "too_short": "too_short",
    "too_long": "too_long",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
}


def _code_and_message(kind: str, message: str, context: dict[str, Any], parts: list[str | int]) -> tuple[str, str]:
    code = _CODES.get(kind, "wrong_type" if kind.endswith(("_type", "_parsing")) else "invalid_value")
    last = parts[-1] if parts else ""
    if code == "missing":
        return code, f"{last!r} is required."
    if code == "unknown_key":
        return code, f"Unknown key {last!r}."
    if code == "unknown_pattern":
        return code, f"There is no pattern {context['tag']!r}; the patterns are {', '.join(PATTERNS)}."
    if code == "bad_format":
        return code, f"This has to match {context['pattern']}"
    return code, f"{_SUBJECT.sub('This', message).removeprefix('Value error, ').replace(' after validation', '')}."
