"""What the mock provider answers: one reply, the words that script it from another process, and its wire form."""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from orchestration_site.proving.smallest_instance import smallest_instance

Fault = Literal["none", "stall", "cut", "garbage"]
Tokens = tuple[int, int]
PIECES = 8
COMPLETION_ID = "chatcmpl-mock"


@dataclass(frozen=True)
class ChatRequest:
    """One request as it came. `earlier` counts the requests for the same model that this server has had before it."""

    model: str
    body: dict[str, Any]
    headers: dict[str, str]
    earlier: int = 0

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body.get("messages", []))

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        options = self.body.get("stream_options") or {}
        return not self.streamed or bool(options.get("include_usage"))

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the response format, if it has one."""
        response_format = self.body.get("response_format") or {}
        found = (response_format.get("json_schema") or {}).get("schema")
        return found if isinstance(found, dict) else None

    @property
    def last_user_text(self) -> str:
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return _text_of(message.get("content"))
        return ""


@dataclass(frozen=True)
class Reply:
    """How one request is answered.

    `text`: None for the default answer. `latency`: seconds before the first byte. `piece_delay`: seconds between
    streamed pieces. `status` other than 200 answers with an error body, `error_code` in it and `retry_after` as its
    header. `fault`: stall for ever, cut the connection in the middle of the body, or send what is neither JSON nor
    SSE. `usage`: honest counts, none at all, or the (input, output) that is to be claimed.
    """

    text: str | None = None
    latency: float = 0.0
    piece_delay: float = 0.0
    status: int = 200
    retry_after: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    fault: Fault = "none"
    usage: Literal["honest", "missing"] | Tokens = "honest"
    finish_reason: str = "stop"


Script = Callable[[ChatRequest], "Reply | str | Awaitable[Reply | str | None] | None"]


@dataclass
class InOrder:
    """A script that gives these replies one after the other, and the default answer after them."""

    replies: Iterable[Reply | str]
    _left: list[Reply | str] = field(init=False)

    def __post_init__(self) -> None:
        self._left = list(self.replies)

    def __call__(self, request: ChatRequest) -> Reply | str | None:
        return self._left.pop(0) if self._left else None


def scripted_by_words(request: ChatRequest, base: Reply) -> Reply:
    """The reply that the `x-mock` header, else the model's name, spells out in words joined by `+`.

    `latency-200` (ms), `pieces-50` (ms between pieces), `status-429` or `status-429-2` (the first 2, then normal),
    `retry-after-1`, `quota`, `stall`, `cut`, `garbage`, `usage-7-9`, `no-usage`, `invalid-2` (the first 2 structured
    answers do not satisfy the schema), `length` (cut short by the token limit). Each of `stall`, `cut`, `garbage`,
    `quota` takes a count too. Any other word means nothing, so `status-500-1+a` and `status-500-1+b` count apart.
    """
    words = request.headers.get("x-mock", request.model)
    if words == "mock":
        return base
    reply = base
    for word in words.split("+"):
        name, *arguments = word.replace("retry-after", "retry_after").replace("no-usage", "no_usage").split("-")
        if all(argument.isdigit() for argument in arguments):
            reply = _apply(reply, name, [int(argument) for argument in arguments], request)
    return reply


def _apply(reply: Reply, name: str, numbers: list[int], request: ChatRequest) -> Reply:
    match name, numbers:
        case "latency", [milliseconds]:
            return replace(reply, latency=milliseconds / 1000)
        case "pieces", [milliseconds]:
            return replace(reply, piece_delay=milliseconds / 1000)
        case "retry_after", [seconds]:
            return replace(reply, retry_after=str(seconds))
        case "usage", [tokens_in, tokens_out]:
            return replace(reply, usage=(tokens_in, tokens_out))
        case "no_usage", []:
            return replace(reply, usage="missing")
        case "length", []:
            return replace(reply, finish_reason="length")
        case _:
            return _apply_counted(reply, name, numbers, request)


def _apply_counted(reply: Reply, name: str, numbers: list[int], request: ChatRequest) -> Reply:
    first = numbers[1:] if name == "status" else numbers
    if first and request.earlier >= first[0]:
        return reply
    match name:
        case "status" if numbers:
            return replace(reply, status=numbers[0])
        case "quota":
            return replace(reply, status=429, error_code="insufficient_quota")
        case "stall" | "cut" | "garbage":
            return replace(reply, fault=name)
        case "invalid" if request.schema is not None:
            return replace(reply, text='{"not_in_the_schema": true}')
        case _:
            return reply


def answer_text(request: ChatRequest) -> str:
    """The default answer: the schema's smallest instance, else a line made of the last user message."""
    if request.schema is not None:
        return json.dumps(smallest_instance(request.schema))
    return "Mock answer to: " + " ".join(request.last_user_text.split())[:200]


def completion_body(request: ChatRequest, reply: Reply) -> bytes:
    """The whole JSON body of an answer that is not streamed."""
    text = answer_text(request) if reply.text is None else reply.text
    message = {"role": "assistant", "content": text}
    body: dict[str, Any] = {
        "id": COMPLETION_ID,
        "object": "chat.completion",
        "created": 0,
        "model": request.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason}],
    }
    if (usage := _usage(request, reply, text)) is not None:
        body["usage"] = usage
    return json.dumps(body).encode()


def completion_events(request: ChatRequest, reply: Reply) -> list[bytes]:
    """The server-sent events of a streamed answer, the last one `[DONE]`."""
    text = answer_text(request) if reply.text is None else reply.text
    size = max(1, -(-len(text) // PIECES))
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[start : start + size]} for start in range(0, len(text), size)]
    events = [_event(request, [{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    events.append(_event(request, [{"index": 0, "delta": {}, "finish_reason": reply.finish_reason}]))
    if request.wants_usage and (usage := _usage(request, reply, text)) is not None:
        events.append(_event(request, [], usage))
    return [*events, b"data: [DONE]\n\n"]


def error_body(reply: Reply) -> bytes:
    """The JSON body of an error, as OpenAI words it."""
    message = reply.error_message or f"The mock provider was told to answer {reply.status}."
    kind = "insufficient_quota" if reply.error_code == "insufficient_quota" else "mock_error"
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": reply.error_code}}).encode()


def _event(request: ChatRequest, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
    chunk: dict[str, Any] = {
        "id": COMPLETION_ID,
        "object": "chat.completion.chunk",
        "created": 0,
        "model": request.model,
        "choices": choices,
    }
    if usage is not None:
        chunk["usage"] = usage
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _usage(request: ChatRequest, reply: Reply, text: str) -> dict[str, int] | None:
    if reply.usage == "missing":
        return None
    if isinstance(reply.usage, tuple):
        tokens_in, tokens_out = reply.usage
    else:
        prompt = sum(len(_text_of(message.get("content"))) for message in request.messages)
        tokens_in, tokens_out = -(-prompt // 4), -(-len(text) // 4)
    return {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}


def _text_of(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
