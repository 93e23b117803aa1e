"""The body of a Chat Completions request, in the dialect of the server that it goes to."""

import json
import re
from typing import Any

from executor.json_types import JsonObject
from executor.providers.contract import Message, ModelRequest
from executor.providers.schema_prompt import with_schema_in_prompt
from executor.providers.strict_schema import make_strict
from executor.providers.text import clean_text

OPENAI_HOST = "api.openai.com"
SCHEMA_NAME = "answer"
# OpenAI's models that reason unless they are told not to; they refuse temperature and top_p.
_REASONING = re.compile(
    r"o\d|gpt-5(?!\.|-chat)|gpt-5\.[1-4]-(?:chat|pro)|gpt-5\.1-codex|gpt-5\.(?:[5-9]|\d\d)|gpt-[6-9]"
)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write_body(model: str, request: ModelRequest, *, host: str, streamed: bool) -> bytes:
    """The request as bytes. A schema that no format takes (its root is no object) goes into the prompt."""
    is_openai = host == OPENAI_HOST
    schema = request.output_schema
    if schema is not None and schema.get("type") != "object":
        request, schema = with_schema_in_prompt(request), None
    settings = request.settings
    body: dict[str, Any] = {"model": model, "messages": _messages(request)}
    # A server other than OpenAI is sure to understand only the older name.
    body["max_completion_tokens" if is_openai else "max_tokens"] = settings.max_output_tokens
    if not (is_openai and _REASONING.match(model)):
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        if settings.top_p is not None:
            body["top_p"] = settings.top_p
    if schema is not None:
        body["response_format"] = _response_format(schema, is_openai=is_openai)
    if streamed:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return _encode(body).encode("utf-8", "replace")


def _messages(request: ModelRequest) -> list[dict[str, str]]:
    messages = [_message(turn) for turn in request.messages]
    if request.system_prompt:
        messages.insert(0, {"role": "system", "content": clean_text(request.system_prompt)})
    return messages


def _message(turn: Message) -> dict[str, str]:
    return {"role": turn.role, "content": clean_text(turn.text)}


def _response_format(schema: JsonObject, *, is_openai: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"name": SCHEMA_NAME, "schema": schema}
    if is_openai:
        strict = make_strict(schema)
        described |= {"schema": strict or schema, "strict": strict is not None}
    return {"type": "json_schema", "json_schema": described}
