"""A collector of traces for tests: it speaks OTLP over HTTP, and keeps what it is sent."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE_SECONDS = 30


@dataclass
class TraceReceiver:
    """What came in, and from whom."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)

    def take(self, headers: dict[str, str], body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._came:
            self.headers.append(headers)
            for resource in request.resource_spans:
                self.services |= {each.value.string_value for each in resource.resource.attributes}
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self._came.notify_all()

    def wait_for(self, trace_id: str, is_whole: Callable[[list[Span]], bool]) -> list[Span]:
        """The spans of that trace, once they are whole."""
        return self._wait(lambda span: span.trace_id.hex() == trace_id, is_whole)

    def wait_for_one(self, is_wanted: Callable[[Span], bool]) -> Span:
        """The first of those spans, once it has come."""
        return self._wait(is_wanted, bool)[0]

    def _wait(self, is_wanted: Callable[[Span], bool], is_whole: Callable[[list[Span]], bool]) -> list[Span]:
        until = time.monotonic() + PATIENCE_SECONDS
        with self._came:
            while not is_whole(found := [span for span in self.spans if is_wanted(span)]):
                left = until - time.monotonic()
                assert left > 0, f"Of the spans came {[span.name for span in found]}."
                self._came.wait(left)
        return found


def attributes_of(span: Span) -> dict[str, Any]:
    """The span's attributes, those that are lists left out."""
    kinds = ((each.key, each.value, each.value.WhichOneof("value")) for each in span.attributes)
    return {key: getattr(value, kind) for key, value, kind in kinds if kind not in (None, "array_value")}


@contextmanager
def run_trace_receiver() -> Iterator[TraceReceiver]:
    """A collector on a free port."""
    receiver = TraceReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, name="collector", daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
