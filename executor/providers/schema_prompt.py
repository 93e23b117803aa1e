"""Asking for JSON in words, where a provider cannot be asked for the schema in any other way."""

import json

from executor.providers.contract import Message, ModelRequest

SCHEMA_IN_PROMPT = "Answer with one JSON value and nothing else. It has to satisfy this JSON Schema:\n"


def with_schema_in_prompt(request: ModelRequest) -> ModelRequest:
    """The same request with its schema written at the end of the system prompt."""
    schema = SCHEMA_IN_PROMPT + json.dumps(request.output_schema, ensure_ascii=False)
    system_prompt = f"{request.system_prompt}\n\n{schema}".strip()
    messages = request.messages or (Message("user", "Answer."),)
    return ModelRequest(system_prompt, messages, request.settings, request.output_schema)
