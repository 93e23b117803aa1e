"""What this process has done, in Prometheus' terms: requests, executions, calls of models, open streams.

A label's values are few, whatever teams call their things: paths and models are counted by their names up to a bound,
and as `other` beyond it. No id is ever a label.
"""

import threading
import time
from datetime import datetime
from functools import cache
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import disable_created_metrics

from deployments.scheduling.figures import LATENESS_BOUNDS
from deployments.telemetry import ObservedFiring, ObservedRun, RunEnd
from executor.events import Event
from orchestration_site.telemetry.observing import SiteObserver

OTHER: Final = "other"
DRAFT: Final = "(draft)"
#: How many deployments are told apart, and how many models.
MAX_DEPLOYMENTS: Final = 100
MAX_MODELS: Final = 50
AREAS: Final = frozenset({"api", "admin", "static", "ws"})
REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
EXECUTION_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
CALL_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300)
#: A call's failure that says that the model has answered, and not as it was asked to.
NOT_A_FAILURE: Final = "invalid_output"


class BoundedNames:
    """The first so many names as they are, all that come later as `other`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def label(self, name: str) -> str:
        if name in self._known:
            return name
        with self._lock:
            if len(self._known) < self._limit:
                self._known.add(name)
        return name if name in self._known else OTHER


class ProcessMetrics(SiteObserver):
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deployments = BoundedNames(MAX_DEPLOYMENTS)
        self.models = BoundedNames(MAX_MODELS)
        ProcessCollector(registry=self.registry)
        self.requests = self._histogram(
            "http_request_seconds", "Time until the answer begins.", ("method", "area", "status"), REQUEST_SECONDS
        )
        self.streams = self._gauge("open_streams", "Viewers of live progress.", ("kind",))
        self.running = self._gauge("running_executions", "Executions that run in this process.", ())
        self.waits = self._histogram(
            "execution_wait_seconds", "From acceptance to the first attempt.", (), EXECUTION_SECONDS
        )
        self.executions = self._histogram(
            "execution_seconds",
            "From the first attempt's start to the end, by how it ended.",
            ("deployment", "status"),
            EXECUTION_SECONDS,
        )
        self.attempts_left = self._counter(
            "attempts_left_total", "Attempts that ended before their execution did.", ("why",)
        )
        self.lateness = self._histogram(
            "schedule_lateness_seconds",
            "From the moment at which a scheduled time was to fire until its execution was stored.",
            (),
            LATENESS_BOUNDS,
        )
        self.lost = self._counter("lost_leases_total", "Executions whose worker was found to be lost.", ())
        self.calls = self._counter(
            "provider_requests_total", "Requests to models, by what came of them.", ("provider", "model", "outcome")
        )
        self.call_seconds = self._histogram(
            "provider_request_seconds", "From a request to its answer.", ("provider", "model"), CALL_SECONDS
        )
        self.tokens = self._counter("tokens_total", "Tokens of answered calls.", ("provider", "model", "direction"))
        self.cost = self._counter("cost_usd_total", "What answered calls cost.", ("provider", "model"))
        for kind in ("socket", "events"):
            self.streams.labels(kind)

    def follow(self, run: ObservedRun) -> "RunCounts":
        return RunCounts(self, run)

    def follow_request(self, scope: Any) -> "RequestCount":
        return RequestCount(self, scope)

    def follow_firing(self, firing: ObservedFiring) -> "FiringCount":
        return FiringCount(self, firing)

    def count_lost_lease(self) -> None:
        self.lost.inc()

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"orchestration_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(f"orchestration_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"orchestration_{name}", text, labels, buckets=buckets, registry=self.registry)


class RunCounts:
    """Counts what one attempt does: each request to a model from its event to the next of the same call."""

    def __init__(self, metrics: ProcessMetrics, run: ObservedRun) -> None:
        self._metrics = metrics
        self._run = run
        #: The requests that are under way: when each was sent, and to which model.
        self._open: dict[str | None, tuple[float, str]] = {}
        metrics.running.inc()

    def note(self, event: Event) -> None:
        if event.is_reused:
            return
        at = event.at.timestamp()
        if event.type == "execution.started":
            self._metrics.waits.observe(max(0.0, (event.at - self._run.created_at).total_seconds()))
        elif event.type == "agent.started":
            self._open[event.key] = (at, str(event.payload["model"]))
        elif event.type == "agent.retrying":
            self._close(event.key, str(event.payload["code"]))
            self._open[event.key] = (at + float(str(event.payload["wait_seconds"])), str(event.payload["model"]))
        elif event.type == "agent.completed":
            self._close(event.key, "ok", answered_at=at)
            self._count_use(event.payload)
        elif event.type == "agent.failed":
            code = str(event.payload["code"])
            self._close(event.key, "ok" if code == NOT_A_FAILURE else code, answered_at=at)
            self._count_use(event.payload)

    def end(self, end: RunEnd) -> None:
        self._metrics.running.dec()
        if end.status in ("completed", "failed", "cancelled"):
            path = self._metrics.deployments.label(self._run.deployment_path or DRAFT)
            self._metrics.executions.labels(path, end.status).observe(end.duration_ms / 1000)
        elif end.status != "unclaimed":
            self._metrics.attempts_left.labels(end.status).inc()
        if end.status != "unclaimed":
            for key in list(self._open):
                self._close(key, "broken_off")

    def _close(self, key: str | None, outcome: str, *, answered_at: float | None = None) -> None:
        if (request := self._open.pop(key, None)) is None:
            return  # nothing was sent: there is no such model
        sent_at, model = request
        labels = self._labels(model)
        self._metrics.calls.labels(*labels, outcome).inc()
        if answered_at is not None and outcome == "ok":
            self._metrics.call_seconds.labels(*labels).observe(max(0.0, answered_at - sent_at))

    def _count_use(self, payload: Any) -> None:
        labels, usage = self._labels(payload["model"]), payload["usage"]
        if usage["input_tokens"] or usage["output_tokens"]:
            self._metrics.tokens.labels(*labels, "input").inc(usage["input_tokens"])
            self._metrics.tokens.labels(*labels, "output").inc(usage["output_tokens"])
        if payload["cost"] is not None:
            self._metrics.cost.labels(*labels).inc(float(payload["cost"]))

    def _labels(self, model: str) -> tuple[str, str]:
        return self._run.kind_of(model) or OTHER, self._metrics.models.label(model)


class FiringCount:
    """Counts how late one scheduled time was, once its execution is stored."""

    traceparent = ""

    def __init__(self, metrics: ProcessMetrics, firing: ObservedFiring) -> None:
        self._metrics = metrics
        self._fires_at = firing.fires_at

    def end(self, at: datetime) -> None:
        self._metrics.lateness.observe(max(0.0, (at - self._fires_at).total_seconds()))


class RequestCount:
    """Counts one request when its answer begins, and a stream for as long as it is open."""

    def __init__(self, metrics: ProcessMetrics, scope: Any) -> None:
        self._metrics = metrics
        self._began = time.monotonic()
        self._kind = "socket" if scope["type"] == "websocket" else "events"
        self._method = _method_of(scope)
        first = scope["path"].lstrip("/").partition("/")[0]
        self._area = first if first in AREAS else "pages"
        self._is_answered = False
        self._streams = False

    def answer(self, status: int, *, streams: bool) -> None:
        self._is_answered = True
        self._count(f"{status // 100}xx")
        if streams:
            self._streams = True
            self._metrics.streams.labels(self._kind).inc()

    def end(self, error: BaseException | None) -> None:
        if self._streams:
            self._metrics.streams.labels(self._kind).dec()
        if not self._is_answered:
            self._count("5xx" if error is not None else "broken_off")

    def _count(self, status: str) -> None:
        self._metrics.requests.labels(self._method, self._area, status).observe(time.monotonic() - self._began)


def _method_of(scope: Any) -> str:
    if scope["type"] == "websocket":
        return "SOCKET"
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else OTHER


@cache
def metrics() -> ProcessMetrics:
    """Those of this process."""
    # When each counter was made, which would double what is sent.
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library's own
    return ProcessMetrics()
