"""Traces, by OpenTelemetry: from a request through the broker to the calls of models. Only with a collector to send to.

Nothing is registered globally: libraries that could make spans of their own, of what they send, make none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bind_contextvars, reset_contextvars

from deployments.executions.publisher import RUN_EXECUTION
from deployments.telemetry import ObservedFiring, ObservedRun
from orchestration_site.environment import Environment
from orchestration_site.logs import hide_in_text
from orchestration_site.telemetry.observing import SiteObserver
from orchestration_site.telemetry.routes import route_of
from orchestration_site.telemetry.spans import RunSpans, mark_failed

#: The longest text that a span holds: prompts and answers are cut there.
MAX_TEXT = 8_000
#: A collector that does not answer within so many seconds loses what is sent to it. So long a process waits at its end.
EXPORT_SECONDS = 5.0

_W3C = TraceContextTextMapPropagator()


class Tracing(SiteObserver):
    """Makes the spans of this process."""

    def __init__(self, provider: TracerProvider, *, captures_content: bool) -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("orchestration_site")
        self._captures_content = captures_content

    def current_traceparent(self) -> str:
        return write_traceparent(None)

    @contextmanager
    def publishing(self, execution_id: UUID, traceparent: str) -> Iterator[None]:
        if not traceparent:  # by a sweep, on nobody's behalf: it would be a trace of one span
            yield
            return
        attributes = {
            "messaging.system": "celery",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": RUN_EXECUTION,
            "orchestration.execution.id": str(execution_id),
        }
        name, parent = f"send {RUN_EXECUTION}", read_traceparent(traceparent)
        span = self._tracer.start_span(name, parent, kind=SpanKind.PRODUCER, attributes=attributes)
        try:
            yield
        except Exception as error:
            # By its name alone: the text of a broker's error may hold its URL, with the password.
            mark_failed(span, type(error).__name__)
            raise
        finally:
            span.end()

    def follow(self, run: ObservedRun) -> RunSpans:
        return RunSpans(
            self._tracer, run, parent=read_traceparent(run.traceparent), captures_content=self._captures_content
        )

    def follow_firing(self, firing: ObservedFiring) -> "FiringSpan":
        return FiringSpan(self._tracer, firing)

    def follow_request(self, scope: Any) -> "RequestSpan | None":
        if scope["type"] != "http":
            return None  # a socket lasts for hours, and no span shows before its end
        return RequestSpan(self._tracer, scope)


class RequestSpan:
    """The span of one request, which is what goes on until its end."""

    def __init__(self, tracer: trace.Tracer, scope: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        parent = _W3C.extract({"traceparent": headers.get("traceparent", "")}, Context())
        attributes = {
            "http.request.method": scope["method"],
            "url.scheme": scope.get("scheme", "http"),
            "url.path": hide_in_text(scope["path"]),
            "orchestration.request.id": str(scope.get("request_id", "")),
        }
        name, route = scope["method"], route_of(scope["path"])
        if route is not None:
            name, attributes["http.route"] = f"{name} {route}", route
        self._span = tracer.start_span(name, parent, kind=SpanKind.SERVER, attributes=attributes)
        self._attached = attach(trace.set_span_in_context(self._span, Context()))
        self._named = bind_contextvars(trace_id=trace_id_of(self._span))

    def answer(self, status: int, *, streams: bool) -> None:
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            mark_failed(self._span, str(status))

    def end(self, error: BaseException | None) -> None:
        if error is not None:
            mark_failed(self._span, type(error).__name__)
        reset_contextvars(**self._named)
        detach(self._attached)
        self._span.end()


class FiringSpan:
    """The span of one scheduled time: the trace of its execution begins with it, whoever fires it."""

    def __init__(self, tracer: trace.Tracer, firing: ObservedFiring) -> None:
        self._fires_at = firing.fires_at
        attributes = {
            "orchestration.schedule.id": str(firing.schedule_id),
            "orchestration.schedule.time": firing.scheduled_for.isoformat(),
            "orchestration.execution.id": str(firing.execution_id),
            "orchestration.deployment.id": str(firing.deployment_id),
            "orchestration.deployment.path": firing.deployment_path,
        }
        # Of no request, even where one changes the schedule: it did not ask for what was due before.
        self._span = tracer.start_span("fire schedule", Context(), attributes=attributes)
        self.traceparent = write_traceparent(trace.set_span_in_context(self._span, Context()))

    def end(self, at: datetime) -> None:
        self._span.set_attribute("orchestration.schedule.lateness", max(0.0, (at - self._fires_at).total_seconds()))
        self._span.end()


def write_traceparent(context: Context | None) -> str:
    """That context's trace, in W3C's form; with None that of what is done here. Empty for none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context)
    return carrier.get("traceparent", "")


def read_traceparent(traceparent: str) -> Context:
    """The context of that trace; an empty one for none."""
    return _W3C.extract({"traceparent": traceparent}, Context())


def trace_id_of(span: Span) -> str:
    """As logs and trace viewers write it."""
    return trace.format_trace_id(span.get_span_context().trace_id)


def build_tracing(environment: Environment, exporter: SpanExporter) -> Tracing:
    """Traces as the operator wants them, sent by this exporter."""
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(environment.otel_traces_sampler_arg),
        resource=Resource({"service.name": environment.otel_service_name}),
        span_limits=SpanLimits(max_attribute_length=MAX_TEXT),
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider, captures_content=environment.otel_instrumentation_genai_capture_message_content)


@cache
def tracing() -> Tracing:
    """This process's. What is not sent yet is sent at the process's end."""
    environment: Environment = settings.ENVIRONMENT
    exporter = OTLPSpanExporter(
        endpoint=f"{environment.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces",
        headers=read_headers(environment),
        timeout=EXPORT_SECONDS,
    )
    return build_tracing(environment, exporter)


def read_headers(environment: Environment) -> dict[str, str]:
    """OTEL_EXPORTER_OTLP_HEADERS, taken apart."""
    given = environment.otel_exporter_otlp_headers
    pairs = [] if given is None else [pair.partition("=") for pair in given.get_secret_value().split(",")]
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
