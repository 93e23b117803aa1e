"""An attempt becomes spans: block, agent, each request to a model; by the conventions, and without what is said."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.contextvars import clear_contextvars, get_contextvars

from deployments.telemetry import RunEnd
from executor.events import Event
from orchestration_site.telemetry.spans import RunSpans
from orchestration_site.telemetry.tests.observed import (
    BEGAN,
    DEPLOYMENT,
    EXECUTION,
    SCHEDULE,
    TRACE,
    TRACEPARENT,
    completed,
    event,
    failed,
    observed_firing,
    observed_run,
    retrying,
    started,
)
from orchestration_site.telemetry.tracing import Tracing, read_traceparent

DONE = RunEnd("completed", duration_ms=4_000)
SECRET = "S3cret"


class Trace:
    """What is sent to the collector."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def follow(self, *events: Event, end: RunEnd = DONE, content: bool = False, traceparent: str = TRACEPARENT) -> None:
        run, tracer = observed_run(traceparent=traceparent), self.provider.get_tracer("test")
        spans = RunSpans(tracer, run, parent=read_traceparent(traceparent), captures_content=content)
        for each in events:
            spans.note(each)
        spans.end(end)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.spans if span.name == name]
        return span

    def parent_of(self, name: str) -> str:
        parent = self.named(name).parent
        assert parent is not None
        return next((span.name for span in self.spans if span.context.span_id == parent.span_id), "the request")

    @property
    def text(self) -> str:
        return " ".join(span.to_json() for span in self.spans)


@pytest.fixture
def traced() -> Iterator[Trace]:
    yield Trace()
    clear_contextvars()


def seconds_of(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time is not None
    assert span.end_time is not None
    return tuple(time / 1e9 - BEGAN.timestamp() for time in (span.start_time, span.end_time))  # type: ignore[return-value]


def attributes_of(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


ORDINARY = (
    event("block.started", 0, task="Greet."),
    started(1),
    completed(3),
    event("block.completed", 3.5),
)


def test_an_attempt_goes_on_with_the_trace_of_who_asked_for_it(traced: Trace) -> None:
    traced.follow(*ORDINARY)
    run = "process deployments.run_execution"
    assert {span.context.trace_id for span in traced.spans} == {int(TRACE, 16)}
    assert traced.parent_of(run) == "the request"
    assert traced.parent_of("block greet") == run
    assert traced.parent_of("invoke_agent Writer") == "block greet"
    assert traced.parent_of("chat gpt") == "invoke_agent Writer"
    assert len(traced.spans) == 4
    assert attributes_of(traced.named(run))["orchestration.execution.id"] == str(EXECUTION)
    assert get_contextvars()["trace_id"] == TRACE


def test_without_a_trace_it_begins_one(traced: Trace) -> None:
    traced.follow(*ORDINARY, traceparent="")
    run = traced.named("process deployments.run_execution")
    assert run.parent is None
    assert {span.context.trace_id for span in traced.spans} == {run.context.trace_id}


def test_a_call_is_told_of_by_the_conventions_for_generative_ai(traced: Trace) -> None:
    traced.follow(*ORDINARY)
    chat = traced.named("chat gpt")
    assert chat.kind == SpanKind.CLIENT
    assert seconds_of(chat) == pytest.approx((1, 3))
    assert attributes_of(chat) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.response.finish_reasons": ("stop",),
        "orchestration.cost_usd": 0.00017,
    }
    agent = attributes_of(traced.named("invoke_agent Writer"))
    assert (agent["gen_ai.operation.name"], agent["gen_ai.agent.name"]) == ("invoke_agent", "Writer")


def test_a_provider_goes_by_the_name_that_the_conventions_give_it(traced: Trace) -> None:
    traced.follow(started(1, model="ours:gemini"), completed(2, model="ours:gemini", truncated=True))
    chat = attributes_of(traced.named("chat gemini"))
    assert chat["gen_ai.provider.name"] == "gcp.gemini"
    assert chat["gen_ai.response.finish_reasons"] == ("length",)


def test_each_request_of_a_call_is_a_span_and_says_why_it_failed(traced: Trace) -> None:
    traced.follow(started(1), retrying(2, wait=3, model="ours:flash"), completed(7, model="ours:flash"))
    refused, answered = traced.named("chat gpt"), traced.named("chat flash")
    assert (attributes_of(refused)["error.type"], refused.status.status_code) == ("rate_limited", StatusCode.ERROR)
    assert seconds_of(refused) == pytest.approx((1, 2))
    assert seconds_of(answered) == pytest.approx((5, 7))
    assert "error.type" not in attributes_of(answered) | attributes_of(traced.named("invoke_agent Writer"))


def test_an_answer_of_the_wrong_form_fails_the_agent_and_not_the_request(traced: Trace) -> None:
    end = RunEnd("failed", "invalid_output", 5)
    traced.follow(started(1), failed(2, code="invalid_output", tokens=3), event("block.failed", 3, code="x"), end=end)
    assert "error.type" not in attributes_of(traced.named("chat gpt"))
    assert attributes_of(traced.named("invoke_agent Writer"))["error.type"] == "invalid_output"
    assert attributes_of(traced.named("block greet"))["error.type"] == "x"
    assert attributes_of(traced.named("process deployments.run_execution"))["error.type"] == "invalid_output"


def test_what_models_are_told_and_answer_is_left_out(traced: Trace) -> None:
    traced.follow(*ORDINARY)
    assert "Ada" not in traced.text
    assert SECRET not in traced.text


def test_what_they_are_told_and_answer_is_in_it_when_asked_for_but_no_credential(traced: Trace) -> None:
    traced.follow(*ORDINARY, content=True)
    agent = attributes_of(traced.named("invoke_agent Writer"))
    told, answered = (json.loads(str(agent[f"gen_ai.{way}.messages"])) for way in ("input", "output"))
    assert told == [{"role": "user", "parts": [{"type": "text", "content": "Greet Ada."}]}]
    assert answered[0]["parts"][0]["content"].startswith("Hello Ada")
    assert "[hidden]" in str(agent["gen_ai.system_instructions"])
    assert SECRET not in traced.text


def test_an_attempt_that_takes_up_another_ones_block_shows_it_from_there_on(traced: Trace) -> None:
    traced.follow(started(8), completed(9), event("block.completed", 9.5))
    assert seconds_of(traced.named("block greet")) == pytest.approx((8, 9.5))


def test_what_was_under_way_at_the_end_is_broken_off(traced: Trace) -> None:
    traced.follow(event("block.started", 0), started(1), end=RunEnd("released"))
    assert {span.name: attributes_of(span)["error.type"] for span in traced.spans} == {
        "chat gpt": "broken_off",
        "invoke_agent Writer": "broken_off",
        "block greet": "broken_off",
        "process deployments.run_execution": "released",
    }


def test_of_an_attempt_that_was_another_workers_nothing_is_sent(traced: Trace) -> None:
    traced.follow(event("block.started", 0), started(1), end=RunEnd("unclaimed"))
    assert traced.spans == []


def test_what_another_execution_was_answered_is_no_call_of_this_one(traced: Trace) -> None:
    traced.follow(
        event("block.started", 0), started(1, reused={}), completed(2, reused={}), event("block.completed", 3)
    )
    assert [span.name for span in traced.spans] == ["block greet", "process deployments.run_execution"]


class TestPublishing:
    def test_it_is_a_span_of_the_trace_on_whose_behalf_it_is_done(self, traced: Trace) -> None:
        with Tracing(traced.provider, captures_content=False).publishing(EXECUTION, TRACEPARENT):
            pass
        [span] = traced.spans
        assert (span.name, span.kind) == ("send deployments.run_execution", SpanKind.PRODUCER)
        assert span.context.trace_id == int(TRACE, 16)

    def test_where_it_fails_the_error_is_named_and_its_text_left_out(self, traced: Trace) -> None:
        tracing = Tracing(traced.provider, captures_content=False)
        with pytest.raises(ConnectionError), tracing.publishing(EXECUTION, TRACEPARENT):
            raise ConnectionError("redis://me:S3cret@broker refuses")
        [span] = traced.spans
        assert attributes_of(span)["error.type"] == "ConnectionError"
        assert SECRET not in traced.text

    def test_what_a_sweep_sends_again_begins_no_trace(self, traced: Trace) -> None:
        with Tracing(traced.provider, captures_content=False).publishing(EXECUTION, ""):
            pass
        assert traced.spans == []


class TestFiring:
    def test_the_trace_of_a_scheduled_execution_begins_with_its_firing(self, traced: Trace) -> None:
        tracing = Tracing(traced.provider, captures_content=False)
        firing = tracing.follow_firing(observed_firing())
        firing.end(BEGAN + timedelta(seconds=3.5))
        with tracing.publishing(EXECUTION, firing.traceparent):
            pass
        traced.follow(end=RunEnd("released"), traceparent=firing.traceparent)

        fired = traced.named("fire schedule")
        assert fired.parent is None
        assert {
            traced.parent_of(name) for name in ("send deployments.run_execution", "process deployments.run_execution")
        } == {"fire schedule"}
        assert attributes_of(fired) == {
            "orchestration.schedule.id": str(SCHEDULE),
            "orchestration.schedule.time": BEGAN.isoformat(),
            "orchestration.schedule.lateness": 0.5,
            "orchestration.execution.id": str(EXECUTION),
            "orchestration.deployment.id": str(DEPLOYMENT),
            "orchestration.deployment.path": "/api/deployed/greet",
        }

    def test_it_is_no_part_of_the_request_that_changes_the_schedule(self, traced: Trace) -> None:
        tracing = Tracing(traced.provider, captures_content=False)
        attached = attach(read_traceparent(TRACEPARENT))
        try:
            firing = tracing.follow_firing(observed_firing())
        finally:
            detach(attached)
        firing.end(BEGAN)

        assert traced.named("fire schedule").parent is None
        assert TRACE not in firing.traceparent

    def test_of_what_was_not_stored_nothing_is_sent(self, traced: Trace) -> None:
        Tracing(traced.provider, captures_content=False).follow_firing(observed_firing())
        assert traced.spans == []


@pytest.mark.parametrize("text", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "x" * 10_000])
def test_a_traceparent_that_is_none_is_no_trace(text: str) -> None:
    assert read_traceparent(text) == Context()
