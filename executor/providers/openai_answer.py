"""What a Chat Completions answer says: whole or piece by piece, from OpenAI or from a server that is only like it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from executor.json_types import JsonObject
from executor.payload import text_size
from executor.providers.accounts import Account
from executor.providers.contract import ModelAnswer, ModelCallError, ModelRequest
from executor.providers.failures import (
    QUOTA_CODES,
    declined,
    error_in,
    http_failure,
    not_as_promised,
    quote,
    said_nothing,
    what_it_says,
)
from executor.providers.text import clean_json_text, clean_text
from executor.providers.token_counts import usage_of

LONGEST_TEXT = 32 * 1024 * 1024
#: The statuses that stand for an error inside an answer that had begun with 200.
STATUS_OF_CODE: Mapping[str, int] = {
    "invalid_api_key": 401,
    "model_not_found": 404,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "server_error": 500,
    "overloaded_error": 503,
}


@dataclass
class Answer:
    """An answer as it becomes known. Its methods raise `ModelCallError` for what is none."""

    account: Account
    model: str
    finish_reason: str | None = None
    #: The bytes of what it says so far.
    size: int = 0
    _pieces: list[str] = field(default_factory=list)
    _refusals: list[str] = field(default_factory=list)
    _usage: JsonObject = field(default_factory=dict)
    _length: int = 0

    def take_whole(self, data: bytes) -> str:
        """An answer that was not streamed. Gives its text."""
        choice = self._take_body(data)
        if choice is None:
            self._fail("no choices")
        return self._take_message(choice, "message")

    def take_chunk(self, data: bytes) -> str:
        """One event of a stream. Gives the text that is new."""
        choice = self._take_body(data)
        return "" if choice is None or choice.get("delta") is None else self._take_message(choice, "delta")

    def finish(self, request: ModelRequest) -> ModelAnswer:
        """The answer, now that it is complete."""
        text = "".join(self._pieces)
        if self._refusals:
            raise declined(f"it says: {quote(''.join(self._refusals), self.account)}")
        if self.finish_reason == "content_filter":
            raise declined("content filter")
        if not text and not self._usage and self.finish_reason is None:
            raise said_nothing()
        text = clean_text(text) if request.output_schema is None else clean_json_text(text)
        usage = usage_of(request, text, self._tokens("prompt_tokens"), self._tokens("completion_tokens"))
        return ModelAnswer(text, usage, truncated=self.finish_reason == "length")

    def _take_body(self, data: bytes) -> dict[str, Any] | None:
        """Take note of what stands beside the text, and give the choice that holds it; None without choices."""
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            body = None  # refused below and not here: what was raised holds the body, and must not be chained
        if not isinstance(body, dict):
            self._fail("no JSON object")
        if body.get("error"):
            raise self._error(body)
        if isinstance(body.get("usage"), dict):
            self._usage = body["usage"]
        choices = body.get("choices")
        if not choices:
            return None
        if not isinstance(choices, list) or not isinstance(choices[0], dict):
            self._fail("choices of another shape")
        choice: dict[str, Any] = choices[0]
        if choice.get("error"):
            raise self._error(choice)
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self.finish_reason = reason
        return choice

    def _take_message(self, choice: dict[str, Any], name: str) -> str:
        message = choice.get(name)
        if not isinstance(message, dict):
            self._fail(f"no {name}")
        if isinstance(refusal := message.get("refusal"), str) and refusal:
            self._refusals.append(refusal)
            self.size += text_size(refusal)
        text = self._text_of(message.get("content"))
        self._length += len(text)
        if self._length > LONGEST_TEXT:
            self._fail("far too long")
        self._pieces.append(text)
        self.size += text_size(text)
        return text

    def _text_of(self, content: object) -> str:
        """The text of a message's content: a string, none, or a list of parts, of which those with text count."""
        if isinstance(content, str):
            return content
        if content is None:
            return ""
        if not isinstance(content, list):
            self._fail("content of another shape")
        texts = (part.get("text") if isinstance(part, dict) else part for part in content)
        return "".join(text for text in texts if isinstance(text, str))

    def _tokens(self, name: str) -> int:
        count = self._usage.get(name)
        return count if isinstance(count, int) and not isinstance(count, bool) else 0

    def _error(self, body: dict[str, Any]) -> ModelCallError:
        """An error told of in place of an answer, or in its middle: status 200 had gone out already."""
        if (status := _status_in(body)) is not None:
            failure = http_failure(self.account, self.model, status, body)
            failure.may_be_charged = self._length > 0
            return failure
        failure = not_as_promised(self.account, "an error in place of an answer")
        failure.message += what_it_says(self.account, body)
        return failure

    def _fail(self, what: str) -> NoReturn:
        raise not_as_promised(self.account, what)


def _status_in(body: dict[str, Any]) -> int | None:
    """The status that an error would have come with, by its code if that says it, else by its type."""
    error = error_in(body)
    for word in (str(error.get("code")), str(error.get("type"))):
        if word in QUOTA_CODES:
            return 429
        if len(word) == 3 and word.isascii() and word.isdigit() and word[0] in "45":
            return int(word)
        if word in STATUS_OF_CODE:
            return STATUS_OF_CODE[word]
    return None
