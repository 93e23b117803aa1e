"""One checkpoint of an agent call: what is sent under its key, and how the journal writes that down and reads it.

A call's first try and each of its repairs are checkpoints of their own. The payloads here are what the trace shows.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any

from executor.budget import Amount
from executor.calls import AgentCall, Step
from executor.errors import AgentCallFailed, InvalidOutput, ProviderFailed
from executor.events import RecordedEvent
from executor.json_types import Json, JsonObject
from executor.providers.contract import Message, ModelAnswer, ModelRequest, Price, TokenUsage
from executor.usage import Usage

BYTES_PER_TOKEN = 3
MILLION = 1_000_000


@dataclass(frozen=True)
class Checkpoint:
    """What one key of a call sends: the whole conversation so far. `size` is its bytes, the schema's included."""

    call: AgentCall
    repair: int
    key: str
    request: ModelRequest
    prompt_hash: str
    size: int

    @property
    def prompt(self) -> str:
        """The turn that is new at this checkpoint: the call's prompt, or what a repair asks for."""
        return self.request.messages[-1].text

    def reservation(self, price: Price | None) -> Amount:
        """The most that one request can use, the prompt taken at three bytes a token."""
        tokens_in, tokens_out = _tokens(self.size), self.request.settings.max_output_tokens
        return Amount(1, tokens_in + tokens_out, cost_of(price, TokenUsage(tokens_in, tokens_out)))

    def usage_of(self, answer: ModelAnswer) -> TokenUsage:
        """The usage that the provider reported, else an estimate from the bytes that went both ways."""
        usage = answer.usage
        if usage.input_tokens >= 0 and usage.output_tokens >= 0 and usage.input_tokens + usage.output_tokens > 0:
            return usage
        return TokenUsage(_tokens(self.size), _tokens(len(_encoded(answer.text))), estimated=True)


@dataclass(frozen=True)
class Outcome:
    """What came of one checkpoint. `error` is set when the answer does not satisfy the schema: `output` is its text.

    `usage` and `cost` are those of the answer. `unanswered` is what the requests before it stay counted for that may
    have been charged without one; its calls are among the `tries`.
    """

    output: Json
    text: str
    model: str
    usage: TokenUsage
    cost: Decimal | None
    duration_ms: int
    tries: int
    error: str | None = None
    truncated: bool = False
    unanswered: Amount = field(default_factory=Amount)


@dataclass(frozen=True)
class Recorded:
    """An outcome with the place of its result in the journal; `replayed` when an earlier attempt put it there.

    `reused` when another execution was answered so, and has paid for it.
    """

    outcome: Outcome
    position: int
    replayed: bool
    reused: bool = False


def make_checkpoint(call: AgentCall, repair: int, messages: tuple[Message, ...]) -> Checkpoint:
    """The checkpoint of this conversation, with its hash and size: every byte of it is gone through once, here."""
    request = ModelRequest(call.agent.system_prompt, messages, call.agent.settings, call.schema)
    key = call.key if repair == 0 else f"{call.key}/{repair}"
    schema = "" if call.schema is None else json.dumps(call.schema, sort_keys=True)
    digest, size = sha256(), 0
    for part in (request.system_prompt, *(message.text for message in messages), schema):
        data = _encoded(part)
        digest.update(b"%d:" % len(data))
        digest.update(data)
        size += len(data)
    return Checkpoint(call, repair, key, request, digest.hexdigest(), size)


def cost_of(price: Price | None, usage: TokenUsage) -> Decimal | None:
    """USD, None when the price is not known."""
    if price is None:
        return None
    return (usage.input_tokens * price.input_per_million + usage.output_tokens * price.output_per_million) / MILLION


def started_payload(checkpoint: Checkpoint, model: str, reserved: Amount) -> JsonObject:
    """`agent.started`: all that goes out, and what stays counted if nobody ever learns what came of it."""
    return {
        **_place(checkpoint),
        "model": model,
        "system_prompt": checkpoint.request.system_prompt,
        "schema": checkpoint.call.schema,
        "reserved": _amount_json(reserved),
    }


def completed_payload(checkpoint: Checkpoint, outcome: Outcome) -> JsonObject:
    """`agent.completed`: the step as the trace shows it. `text` is left out where `output` already is the text."""
    payload = {**_place(checkpoint), **_outcome_json(outcome), "output": outcome.output, "error": outcome.error}
    if outcome.output is not outcome.text:
        payload["text"] = outcome.text
    if outcome.truncated:
        payload["truncated"] = True
    return payload


def failed_payload(checkpoint: Checkpoint, outcome: Outcome, error: AgentCallFailed) -> JsonObject:
    """`agent.failed`: the step, and why it is final. `output` is the last answer where there was one."""
    why: JsonObject = {"error": str(error), "code": error.code, "message": str(error), "retryable": error.retryable}
    return {**_place(checkpoint), **_outcome_json(outcome), "output": outcome.output, **why}


def read_outcome(payload: Mapping[str, Any]) -> Outcome:
    """The outcome that `completed_payload` or `failed_payload` wrote down."""
    return Outcome(
        output=payload["output"],
        text=payload["text"] if "text" in payload else payload["output"] or "",
        model=payload["model"],
        usage=TokenUsage(**payload["usage"]),
        cost=_decimal(payload["cost"]),
        duration_ms=payload["duration_ms"],
        tries=payload["tries"],
        error=payload["error"],
        truncated=payload.get("truncated", False),
        unanswered=_read_amount(payload["unanswered"]) if "unanswered" in payload else Amount(),
    )


def is_failure(payload: Mapping[str, Any]) -> bool:
    """Whether it is a payload of `failed_payload`, and not of `completed_payload`."""
    return "code" in payload


def read_failure(call: AgentCall, payload: Mapping[str, Any]) -> AgentCallFailed:
    """The error that a recorded `agent.failed` stands for."""
    return failure(call, payload["message"], code=payload["code"], retryable=payload.get("retryable", True))


def failure(call: AgentCall, message: str, *, code: str, retryable: bool = True) -> AgentCallFailed:
    """The error of a call that has failed for good."""
    kind = InvalidOutput if code == "invalid_output" else ProviderFailed
    return kind(message, code=code, block_id=call.block_id, agent=call.agent.name, retryable=retryable)


def make_step(call: AgentCall, recorded: Sequence[Recorded]) -> Step:
    """The step that a call's checkpoints make together: the last one's output, everyone's usage."""
    last = recorded[-1]
    total = Usage()
    for entry in recorded:
        total = total.plus_call(entry.outcome.usage, entry.outcome.cost, calls=entry.outcome.tries)
    return Step(
        key=call.key,
        block_id=call.block_id,
        agent_id=call.agent.id,
        agent=call.agent.name,
        phase=call.phase,
        round=call.round,
        prompt=call.prompt,
        output=last.outcome.output,
        text=last.outcome.text,
        model=last.outcome.model,
        usage=TokenUsage(total.input_tokens, total.output_tokens, total.estimated),
        cost=total.cost,
        duration_ms=sum(entry.outcome.duration_ms for entry in recorded),
        tries=total.calls,
        position=last.position,
        replayed=last.replayed,
        reused=last.reused,
    )


def amount_used(events: Iterable[RecordedEvent]) -> Amount:
    """What the calls of earlier attempts count for: what their results say, and their reservations without one."""
    total, open_calls = Amount(), dict[str | None, Amount]()
    for entry in events:
        event = entry.event
        if event.type == "agent.started":
            # A second start under one key is another attempt: what became of the first is still not known.
            total = total.plus(open_calls.pop(event.key, Amount()))
            open_calls[event.key] = _read_amount(event.payload["reserved"])
        elif event.type == "agent.retrying":
            open_calls[event.key] = _read_amount(event.payload["reserved"])
        else:
            open_calls.pop(event.key, None)
            outcome = read_outcome(event.payload)
            tokens = outcome.usage.input_tokens + outcome.usage.output_tokens
            total = total.plus(outcome.unanswered).plus(Amount(outcome.tries, tokens, outcome.cost))
    for amount in open_calls.values():
        total = total.plus(amount)
    return total


def usage_of_results(events: Iterable[RecordedEvent]) -> Usage:
    """What the recorded results among these events say was used."""
    total = Usage()
    for entry in events:
        if entry.event.type in {"agent.completed", "agent.failed"}:
            outcome = read_outcome(entry.event.payload)
            total = total.plus_call(outcome.usage, outcome.cost, calls=outcome.tries)
    return total


def retrying_payload(*, reason: str, cause: str, wait: float, model: str, reserved: Amount) -> JsonObject:
    """`agent.retrying`: why the request before failed, and which model is asked after how many seconds.

    `reserved` counts the failed requests too: it is what this key counts for until there is a result.
    """
    return {
        "reason": reason,
        "code": cause,
        "wait_seconds": round(wait, 3),
        "model": model,
        "try": reserved.calls,
        "reserved": _amount_json(reserved),
    }


def _place(checkpoint: Checkpoint) -> JsonObject:
    return {
        "prompt": checkpoint.prompt,
        "prompt_hash": checkpoint.prompt_hash,
        "phase": checkpoint.call.phase,
        "round": checkpoint.call.round,
        "repair": checkpoint.repair,
    }


def _outcome_json(outcome: Outcome) -> JsonObject:
    usage = outcome.usage
    unanswered = {"unanswered": _amount_json(outcome.unanswered)} if outcome.unanswered.tokens else {}
    return {
        "model": outcome.model,
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "estimated": usage.estimated,
        },
        "cost": Usage(cost=outcome.cost).cost_text(),
        "duration_ms": outcome.duration_ms,
        "tries": outcome.tries,
        **unanswered,
    }


def _amount_json(amount: Amount) -> JsonObject:
    return {"calls": amount.calls, "tokens": amount.tokens, "cost": Usage(cost=amount.cost).cost_text()}


def _read_amount(payload: Any) -> Amount:
    return Amount(payload["calls"], payload["tokens"], _decimal(payload["cost"]))


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def _encoded(text: str) -> bytes:
    # A lone surrogate that came in with the execution's input must not stop the count.
    return text.encode("utf-8", "surrogatepass")
