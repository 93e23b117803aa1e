"""The spans of one attempt at an execution, made from what its journal records: block, agent, request to a model.

Names and attributes are those of OpenTelemetry's conventions for generative AI. What models are told and what they
answer is left out, unless the operator wants it, and then without what looks like a credential.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_trace_id, set_span_in_context
from structlog.contextvars import bind_contextvars

from deployments.executions.publisher import RUN_EXECUTION
from deployments.telemetry import ObservedRun, RunEnd
from executor.events import Event
from executor.json_types import Json
from orchestration_site.logs import hide_in_text

#: What the conventions call the kinds of `ACCOUNT_KINDS` that they name otherwise.
PROVIDER_NAMES: Final = {"google": "gcp.gemini"}
BROKEN_OFF: Final = "broken_off"


@dataclass
class AgentSpans:
    """One agent call, and the request of it that is under way."""

    agent: Span
    request: Span


class RunSpans:
    """Follows one attempt. Its span's parent is who asked for the execution, however often and by whom it is told."""

    def __init__(self, tracer: Tracer, run: ObservedRun, *, parent: Context, captures_content: bool) -> None:
        self._tracer = tracer
        self._run = run
        self._captures_content = captures_content
        self._blocks: dict[str, Span] = {}
        self._agents: dict[str | None, AgentSpans] = {}
        self._span = tracer.start_span(
            f"process {RUN_EXECUTION}",
            parent,
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": "celery",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": RUN_EXECUTION,
                "orchestration.execution.id": str(run.execution_id),
                "orchestration.execution.attempt": run.attempt,
                "orchestration.execution.trigger": run.trigger,
                "orchestration.deployment.id": "" if run.deployment_id is None else str(run.deployment_id),
                "orchestration.deployment.path": run.deployment_path,
            },
        )
        bind_contextvars(trace_id=format_trace_id(self._span.get_span_context().trace_id))

    def note(self, event: Event) -> None:
        if event.is_reused:
            return
        if event.type == "block.started":
            self._block_of(event)
        elif event.type in ("block.completed", "block.failed"):
            self._end_block(event)
        elif event.type == "agent.started":
            self._start_agent(event)
        elif event.type == "agent.retrying":
            self._retry(event)
        elif event.type in ("agent.completed", "agent.failed"):
            self._end_agent(event)

    def end(self, end: RunEnd) -> None:
        if end.status == "unclaimed":
            return  # another worker's: spans that do not end are not sent
        for agent in self._agents.values():
            for span in (agent.request, agent.agent):
                mark_failed(span, BROKEN_OFF)
                span.end()
        for block in self._blocks.values():
            mark_failed(block, BROKEN_OFF)
            block.end()
        self._span.set_attribute("orchestration.execution.status", end.status)
        if end.status != "completed":
            mark_failed(self._span, end.error_code or end.status)
        self._span.end()

    def _block_of(self, event: Event) -> Span:
        """The block's span. Of a block that an earlier attempt has begun there is none before its next event."""
        block_id = event.block_id or ""
        if block_id not in self._blocks:
            self._blocks[block_id] = self._start(
                f"block {block_id}", self._span, event.at, attributes={"orchestration.block.id": block_id}
            )
        return self._blocks[block_id]

    def _end_block(self, event: Event) -> None:
        span = self._block_of(event)
        if event.type == "block.failed":
            mark_failed(span, str(event.payload["code"]))
        del self._blocks[event.block_id or ""]
        span.end(_nanoseconds(event.at))

    def _start_agent(self, event: Event) -> None:
        name, model = event.agent or "", str(event.payload["model"])
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": name,
            "orchestration.block.id": event.block_id or "",
            **self._model_attributes(model),
        }
        agent = self._start(f"invoke_agent {name}", self._block_of(event), event.at, attributes=attributes)
        if self._captures_content:
            _add_told(agent, event.payload)
        self._agents[event.key] = AgentSpans(agent, self._start_request(agent, model, event.at))

    def _start_request(self, agent: Span, model: str, at: datetime) -> Span:
        attributes = {"gen_ai.operation.name": "chat", **self._model_attributes(model)}
        name = f"chat {model.partition(':')[2]}"
        return self._start(name, agent, at, attributes=attributes, kind=SpanKind.CLIENT)

    def _retry(self, event: Event) -> None:
        if (spans := self._agents.get(event.key)) is None:
            return
        mark_failed(spans.request, str(event.payload["code"]))
        spans.request.end(_nanoseconds(event.at))
        again_at = event.at + timedelta(seconds=float(str(event.payload["wait_seconds"])))
        spans.request = self._start_request(spans.agent, str(event.payload["model"]), again_at)

    def _end_agent(self, event: Event) -> None:
        if (spans := self._agents.pop(event.key, None)) is None:
            return  # nothing was sent: there is no such model
        payload, failed = event.payload, event.type == "agent.failed"
        code = str(payload["code"]) if failed else ""
        for span in (spans.request, spans.agent):
            # An answer that is not of the form asked for fails the agent, not the request that brought it.
            if failed and not (span is spans.request and code == "invalid_output"):
                mark_failed(span, code)
            else:
                _add_answer(span, payload)
            if self._captures_content and payload.get("text", payload["output"]) is not None:
                span.set_attribute("gen_ai.output.messages", _message("assistant", _text_of(payload)))
            span.end(_nanoseconds(event.at))

    def _model_attributes(self, model: str) -> dict[str, str]:
        kind = self._run.kind_of(model)
        return {
            "gen_ai.provider.name": PROVIDER_NAMES.get(kind, kind),
            "gen_ai.request.model": model.partition(":")[2],
        }

    def _start(
        self,
        name: str,
        parent: Span,
        at: datetime,
        *,
        attributes: Mapping[str, str],
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        context = set_span_in_context(parent, Context())
        return self._tracer.start_span(name, context, kind=kind, attributes=attributes, start_time=_nanoseconds(at))


def _add_answer(span: Span, payload: Mapping[str, Any]) -> None:
    span.set_attribute("gen_ai.usage.input_tokens", payload["usage"]["input_tokens"])
    span.set_attribute("gen_ai.usage.output_tokens", payload["usage"]["output_tokens"])
    span.set_attribute("gen_ai.response.finish_reasons", ("length" if payload.get("truncated") else "stop",))
    if payload["cost"] is not None:
        span.set_attribute("orchestration.cost_usd", float(payload["cost"]))


def _add_told(span: Span, payload: Mapping[str, Any]) -> None:
    span.set_attribute("gen_ai.input.messages", _message("user", str(payload["prompt"])))
    if payload["system_prompt"]:
        parts = [{"type": "text", "content": hide_in_text(str(payload["system_prompt"]))}]
        span.set_attribute("gen_ai.system_instructions", json.dumps(parts, ensure_ascii=False))


def _message(role: str, text: str) -> str:
    parts: Json = [{"role": role, "parts": [{"type": "text", "content": hide_in_text(text)}]}]
    return json.dumps(parts, ensure_ascii=False)


def _text_of(payload: Mapping[str, Any]) -> str:
    text = payload.get("text", payload["output"])
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)


def mark_failed(span: Span, error_type: str) -> None:
    """Say that it failed, by a word: an error's text may hold what is not to be told."""
    span.set_attribute("error.type", error_type)
    span.set_status(StatusCode.ERROR)


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000
