"""A request's span: it goes on with the caller's trace, and is what everything within it belongs to."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import SecretStr
from structlog.contextvars import get_contextvars

from orchestration_site.environment import Environment
from orchestration_site.telemetry.observing import ObservedRequests, SiteObserver, observe_requests
from orchestration_site.telemetry.tests.asgi import application, ask
from orchestration_site.telemetry.tests.observed import TRACE, TRACEPARENT
from orchestration_site.telemetry.tracing import Tracing, build_tracing, read_headers

FROM_CALLER = [(b"traceparent", TRACEPARENT.encode())]


class Site:
    """Traced, with a page that notes what it sees, or fails."""

    def __init__(self, *, share: float = 1.0, status: int = 200, error: Exception | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        environment = Environment.model_construct(otel_traces_sampler_arg=share)
        self.tracing: Tracing = build_tracing(environment, self.exporter)
        self.app = ObservedRequests(self.page, [self.tracing])
        self.seen: list[str] = []
        self.named: list[dict[str, Any]] = []
        self._status, self._error = status, error

    async def page(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.seen.append(self.tracing.current_traceparent())
        self.named.append(dict(get_contextvars()))
        if self._error is not None:
            raise self._error
        await send({"type": "http.response.start", "status": self._status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    @property
    def spans(self) -> list[ReadableSpan]:
        assert self.tracing.provider.force_flush()
        return list(self.exporter.get_finished_spans())


async def test_it_goes_on_with_the_callers_trace_and_ends_with_the_request() -> None:
    site = Site()
    await ask(site.app, "/api/deployed/greet", "POST", headers=FROM_CALLER, request_id="asked-42")

    [span] = site.spans
    assert span.parent is not None
    assert (span.context.trace_id, span.kind) == (int(TRACE, 16), SpanKind.SERVER)
    assert site.seen[0].split("-")[1:3] == [TRACE, f"{span.context.span_id:016x}"]
    assert site.named == [{"trace_id": TRACE}]
    assert site.tracing.current_traceparent() == ""
    assert "trace_id" not in get_contextvars()
    attributes = dict(span.attributes or {})
    assert attributes["url.path"] == "/api/deployed/greet"
    assert (attributes["http.response.status_code"], attributes["orchestration.request.id"]) == (200, "asked-42")


class Breaks(SiteObserver):
    """Fails whatever it is told."""

    def follow_request(self, scope: Any) -> Any:
        if scope["path"] == "/at-once":
            raise ZeroDivisionError
        return self

    def answer(self, *_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    def end(self, *_: Any) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize("path", ["/at-once", "/later"])
async def test_an_observer_that_fails_keeps_no_request_from_its_answer(path: str) -> None:
    status, _, _ = await ask(ObservedRequests(Site().page, [Breaks()]), path)
    assert status == 200


async def test_its_name_is_its_route_whatever_ids_are_in_its_path() -> None:
    site = Site()
    for number in (1, 2):
        await ask(site.app, f"/api/executions/01990000-0000-7000-8000-00000000000{number}")
    await ask(site.app, "/nowhere/at/all")

    first, second, nowhere = (span.name for span in site.spans)
    assert first == second
    assert first.startswith("GET /api/executions/")
    assert "0199" not in first
    assert nowhere == "GET"


@pytest.mark.parametrize(("status", "fails"), [(200, False), (404, False), (503, True)])
async def test_what_is_the_servers_fault_is_an_error(status: int, fails: bool) -> None:
    site = Site(status=status)
    await ask(site.app, "/api")

    [span] = site.spans
    assert (span.status.status_code == StatusCode.ERROR) == fails == ("error.type" in (span.attributes or {}))


async def test_what_nobody_expected_is_an_error_by_its_name_and_without_its_text() -> None:
    site = Site(error=ZeroDivisionError("S3cret"))
    with pytest.raises(ZeroDivisionError):
        await ask(site.app, "/api")

    [span] = site.spans
    assert dict(span.attributes or {})["error.type"] == "ZeroDivisionError"
    assert "S3cret" not in str(span.to_json())
    assert site.tracing.current_traceparent() == ""


async def test_of_those_that_come_without_a_trace_a_share_is_traced_and_all_that_come_with_one() -> None:
    site = Site(share=0.0)
    await ask(site.app, "/api")
    assert site.spans == []
    assert int(site.seen[0].rpartition("-")[2], 16) & 1 == 0, "it says that it is not traced"
    await ask(site.app, "/api", headers=FROM_CALLER)
    assert len(site.spans) == 1


async def test_a_header_of_nonsense_begins_a_trace_of_its_own() -> None:
    site = Site()
    await ask(site.app, "/api", headers=[(b"traceparent", b"00-\xff" + b"x" * 5_000)])

    [span] = site.spans
    assert span.parent is None


async def test_a_socket_is_no_span() -> None:
    site = Site()
    await ask(site.app, "/ws/deployments", type="websocket")
    assert site.spans == []


def test_where_nobody_looks_on_the_site_is_as_it_is() -> None:
    assert observe_requests(application, ()) is application


def test_the_collectors_headers_are_taken_apart() -> None:
    given = SecretStr("authorization=Basic YQ==, x-tenant = me,")
    environment = Environment.model_construct(otel_exporter_otlp_headers=given)
    assert read_headers(environment) == {"authorization": "Basic YQ==", "x-tenant": "me"}
    assert read_headers(Environment.model_construct()) == {}
