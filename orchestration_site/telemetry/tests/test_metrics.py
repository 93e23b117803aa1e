"""What a process counts: what happened, under few labels, and never under an id."""

from datetime import timedelta
from typing import Any

import pytest

from deployments.telemetry import RunEnd
from executor.events import Event
from orchestration_site.telemetry.metrics import MAX_DEPLOYMENTS, MAX_MODELS, BoundedNames, ProcessMetrics
from orchestration_site.telemetry.observing import ObservedRequests
from orchestration_site.telemetry.tests.asgi import application, ask
from orchestration_site.telemetry.tests.observed import (
    BEGAN,
    completed,
    event,
    failed,
    observed_firing,
    observed_run,
    retrying,
    started,
)

MODEL = {"provider": "openai", "model": "mine:gpt"}
PATH = "/api/deployed/greet"


@pytest.fixture
def metrics() -> ProcessMetrics:
    return ProcessMetrics()


def value(metrics: ProcessMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"orchestration_{name}", labels)


def run(metrics: ProcessMetrics, *events: Event, end: RunEnd, **fields: Any) -> None:
    counts = metrics.follow(observed_run(**fields))
    for each in events:
        counts.note(each)
    counts.end(end)


def outcomes(metrics: ProcessMetrics) -> dict[str, float]:
    samples = [sample for family in metrics.calls.collect() for sample in family.samples]
    return {sample.labels["outcome"]: sample.value for sample in samples if sample.name.endswith("_total")}


def test_an_execution_is_counted_with_its_wait_its_time_its_tokens_and_its_cost(metrics: ProcessMetrics) -> None:
    run(metrics, event("execution.started", 0), started(1), completed(4), end=RunEnd("completed", duration_ms=4_500))

    assert value(metrics, "execution_seconds_sum", deployment=PATH, status="completed") == 4.5
    assert value(metrics, "execution_wait_seconds_sum") == 2
    assert value(metrics, "provider_request_seconds_sum", **MODEL) == 3
    assert value(metrics, "tokens_total", **MODEL, direction="input") == 12
    assert value(metrics, "tokens_total", **MODEL, direction="output") == 5
    assert value(metrics, "cost_usd_total", **MODEL) == pytest.approx(0.00017)
    assert value(metrics, "running_executions") == 0


def test_each_request_to_a_model_is_counted_by_what_came_of_it(metrics: ProcessMetrics) -> None:
    run(metrics, started(1), retrying(2), retrying(4, code="timeout"), completed(9), end=RunEnd("completed"))
    run(metrics, started(1), failed(2, code="refused"), end=RunEnd("failed", "refused"))
    run(metrics, started(1), failed(2, code="invalid_output", tokens=3), end=RunEnd("failed", "invalid_output"))
    run(metrics, started(1), end=RunEnd("cancelled"))
    run(metrics, failed(2, code="unknown_model"), end=RunEnd("failed"))  # nothing was sent

    assert outcomes(metrics) == {"rate_limited": 1, "timeout": 1, "ok": 2, "refused": 1, "broken_off": 1}
    # From the last try, not from the first.
    assert value(metrics, "provider_request_seconds_sum", **MODEL) == 4 + 1


def test_what_another_execution_has_paid_for_is_not_counted_again(metrics: ProcessMetrics) -> None:
    run(metrics, started(1, reused={}), completed(2, reused={}), end=RunEnd("completed"))

    assert outcomes(metrics) == {}
    assert value(metrics, "tokens_total", **MODEL, direction="input") is None


def test_an_attempt_that_was_left_is_no_execution_that_ended(metrics: ProcessMetrics) -> None:
    run(metrics, started(1), end=RunEnd("released"))
    run(metrics, started(1), end=RunEnd("unclaimed"))

    assert list(metrics.executions.collect())[0].samples == []  # noqa: RUF015 - there is one
    assert value(metrics, "attempts_left_total", why="released") == 1
    assert value(metrics, "attempts_left_total", why="unclaimed") is None
    assert outcomes(metrics) == {"broken_off": 1}
    assert value(metrics, "running_executions") == 0


def test_how_late_a_scheduled_time_was_is_counted_once_it_is_stored(metrics: ProcessMetrics) -> None:
    """From the moment at which it was to fire, which is its jitter later; a clock that is behind makes none early."""
    fired = [metrics.follow_firing(observed_firing()) for _ in range(3)]
    assert value(metrics, "schedule_lateness_seconds_count") == 0
    for follower, seconds in zip(fired, (3.2, 10.5, 1), strict=True):
        follower.end(BEGAN + timedelta(seconds=seconds))

    assert value(metrics, "schedule_lateness_seconds_count") == 3
    assert value(metrics, "schedule_lateness_seconds_sum") == pytest.approx(0.2 + 7.5)
    assert value(metrics, "schedule_lateness_seconds_bucket", le="0.05") == 1
    assert value(metrics, "schedule_lateness_seconds_bucket", le="0.25") == 2
    assert value(metrics, "schedule_lateness_seconds_bucket", le="30.0") == 3


def test_however_many_deployments_and_models_there_are_the_labels_are_few(metrics: ProcessMetrics) -> None:
    for number in range(MAX_DEPLOYMENTS + 20):
        model = f"mine:{number}"
        events = (started(1, model=model), completed(2, model=model))
        run(metrics, *events, end=RunEnd("completed", duration_ms=1), deployment_path=f"/api/deployed/{number}")

    samples = list(metrics.executions.collect())[0].samples  # noqa: RUF015 - there is one
    assert len({sample.labels["deployment"] for sample in samples}) == MAX_DEPLOYMENTS + 1
    assert value(metrics, "execution_seconds_count", deployment="other", status="completed") == 20
    beyond = MAX_DEPLOYMENTS + 20 - MAX_MODELS
    assert value(metrics, "provider_requests_total", provider="openai", model="other", outcome="ok") == beyond


def test_a_name_that_is_known_stays_so() -> None:
    names = BoundedNames(1)
    assert [names.label(name) for name in ("a", "b", "a")] == ["a", "other", "a"]


class TestRequests:
    async def test_a_request_is_counted_by_its_area_and_not_by_its_path(self, metrics: ProcessMetrics) -> None:
        site: Any = ObservedRequests(application, [metrics])
        for path in ("/api/executions/1", "/api/executions/2", "/deployments", "/admin/"):
            await ask(site, path)
        await ask(site, "/api", "BREW")

        assert value(metrics, "http_request_seconds_count", method="GET", area="api", status="2xx") == 2
        assert value(metrics, "http_request_seconds_count", method="GET", area="pages", status="2xx") == 1
        assert value(metrics, "http_request_seconds_count", method="GET", area="admin", status="2xx") == 1
        assert value(metrics, "http_request_seconds_count", method="other", area="api", status="2xx") == 1

    async def test_a_request_that_breaks_is_counted_and_breaks_still(self, metrics: ProcessMetrics) -> None:
        async def broken(*_: object) -> None:
            raise ZeroDivisionError

        site: Any = ObservedRequests(broken, [metrics])
        with pytest.raises(ZeroDivisionError):
            await ask(site, "/api")
        assert value(metrics, "http_request_seconds_count", method="GET", area="api", status="5xx") == 1

    @pytest.mark.parametrize(("kind", "type_of_scope"), [("socket", "websocket"), ("events", "http")])
    async def test_a_stream_is_open_until_its_end(self, metrics: ProcessMetrics, kind: str, type_of_scope: str) -> None:
        seen: list[float | None] = []

        async def stream(_scope: Any, _receive: Any, send: Any) -> None:
            headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
            opening = {"type": "http.response.start", "status": 200, "headers": headers}
            await send({"type": "websocket.accept", "headers": []} if type_of_scope == "websocket" else opening)
            seen.append(value(metrics, "open_streams", kind=kind))

        await ask(ObservedRequests(stream, [metrics]), "/ws/deployments", type=type_of_scope)
        assert (seen, value(metrics, "open_streams", kind=kind)) == ([1], 0)
