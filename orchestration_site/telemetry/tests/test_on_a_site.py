"""On real processes: one trace from a request to the call of a model, and what each process tells of itself."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from deployments.tests.site_api import EVERYTHING, Deployed, SiteApi
from orchestration_site.proving.processes import Process
from orchestration_site.tests.sites import Site
from orchestration_site.tests.trace_receiver import TraceReceiver, attributes_of

ROUTE = "POST /api/deployed/"
FIRE = "fire schedule"
SEND, PROCESS = "send deployments.run_execution", "process deployments.run_execution"


@pytest.fixture(scope="module")
def deployed(distributed_site: Site) -> Deployed:
    return SiteApi(distributed_site, distributed_site.make_key(scopes=EVERYTHING)).deploy("openai:gpt-of-tests")


def read(site: Site, process: Process | None = None) -> dict[str, list[Any]]:
    """The samples of each metric: the web server's, or those of another process."""
    url = site.base_url if process is None else probes_of(process)
    answer = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {site.env['METRICS_TOKEN']}"})
    assert answer.status_code == 200, answer.text
    return {family.name: list(family.samples) for family in text_string_to_metric_families(answer.text)}


def probes_of(process: Process) -> str:
    return f"http://127.0.0.1:{process.env['METRICS_PORT']}"


def test_one_trace_leads_from_the_request_through_the_broker_to_the_call_of_the_model(
    deployed: Deployed, traces: TraceReceiver
) -> None:
    trace_id = secrets.token_hex(16)
    answer = deployed.call(traceparent=f"00-{trace_id}-b7ad6b7169203331-01")
    assert answer.status_code == 200, answer.text

    spans = traces.wait_for(trace_id, lambda found: len(found) >= 6)
    by_id = {span.span_id: span for span in spans}
    parents = {name_of(span): name_of(by_id[span.parent_span_id]) for span in spans if span.parent_span_id in by_id}
    assert parents == {
        SEND: ROUTE,
        PROCESS: ROUTE,
        "block": PROCESS,
        "invoke_agent": "block",
        "chat": "invoke_agent",
    }
    [request] = [span for span in spans if name_of(span) == ROUTE]
    [chat] = [span for span in spans if name_of(span) == "chat"]
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert attributes_of(request)["http.response.status_code"] == 200
    assert attributes_of(request)["orchestration.request.id"] == answer.headers["X-Request-ID"]
    asked = attributes_of(chat)
    assert (asked["gen_ai.provider.name"], asked["gen_ai.request.model"]) == ("openai", "gpt-of-tests")
    assert asked["gen_ai.usage.input_tokens"] > 0
    assert not [span for span in spans if "messages" in str(attributes_of(span))], "what was said is not in it"
    assert "orchestration" in traces.services
    assert traces.headers[0]["x-tenant"] == "tests"


def test_the_trace_of_a_scheduled_execution_leads_from_the_beat_to_the_worker(
    deployed: Deployed, distributed_site: Site, traces: TraceReceiver
) -> None:
    deployed.change(schedule={"interval_seconds": 1, "input_data": {"text": "Ada"}})
    try:
        fired = traces.wait_for_one(
            lambda span: span.name == FIRE and attributes_of(span)["orchestration.deployment.id"] == deployed.id
        )
        spans = traces.wait_for(fired.trace_id.hex(), lambda found: {SEND, PROCESS} <= {span.name for span in found})
    finally:
        deployed.change(schedule=None)

    assert not fired.parent_span_id
    assert {span.parent_span_id for span in spans if span.name in (SEND, PROCESS)} == {fired.span_id}
    beat = read(distributed_site, distributed_site.processes["beat"])
    assert sum_of(beat, "orchestration_schedule_lateness_seconds") > 0


def name_of(span: Span) -> str:
    if span.name.startswith(ROUTE):
        return ROUTE
    return span.name if span.name in (SEND, PROCESS) else span.name.partition(" ")[0]


def test_one_scrape_of_the_web_server_gives_the_figures_of_the_site(deployed: Deployed, distributed_site: Site) -> None:
    assert deployed.call().status_code == 200
    seen = read(distributed_site)

    recent = {sample.labels["status"]: sample.value for sample in seen["orchestration_site_recent_executions"]}
    assert recent["completed"] >= 0  # they may be as old as the scrape before
    assert {sample.labels["status"] for sample in seen["orchestration_site_executions"]} == {"queued", "running"}
    assert seen["orchestration_site_up"][0].value == 1
    assert {"orchestration_site_queue_age_seconds", "orchestration_site_schedule_missed"} <= set(seen)
    assert sum_of(seen, "orchestration_http_request_seconds", area="api") > 0


def test_a_worker_and_a_beat_tell_what_they_did_themselves(deployed: Deployed, distributed_site: Site) -> None:
    assert deployed.call().status_code == 200
    worker, beat = (read(distributed_site, distributed_site.processes[role]) for role in ("worker", "beat"))

    assert sum_of(worker, "orchestration_execution_seconds", deployment=deployed.path, status="completed") > 0
    assert sum_of(worker, "orchestration_provider_requests", model="openai:gpt-of-tests", outcome="ok") > 0
    assert sum_of(worker, "orchestration_tokens", provider="openai", direction="input") > 0
    assert "orchestration_lost_leases" in beat
    assert not [name for name in worker if name.startswith("orchestration_site")]


def sum_of(seen: dict[str, list[Any]], name: str, **labels: str) -> float:
    counted = [sample for sample in seen[name] if sample.name.endswith(("_count", "_total"))]
    return float(sum(sample.value for sample in counted if labels.items() <= sample.labels.items()))


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_a_worker_and_a_beat_answer_probes(distributed_site: Site, role: str) -> None:
    url = probes_of(distributed_site.processes[role])

    assert httpx.get(f"{url}/livez").json() == {"status": "alive"}
    ready = httpx.get(f"{url}/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert httpx.get(f"{url}/metrics").status_code == 401
    assert httpx.get(f"{url}/api/deployments").status_code == 404


def test_each_line_of_each_process_is_a_json_object(distributed_site: Site) -> None:
    lines = list(lines_of(distributed_site))

    assert lines
    assert [line for line in lines if {"timestamp", "level", "logger", "event"} - set(json.loads(line))] == []


def lines_of(site: Site) -> Iterator[str]:
    """All that was logged; what commands print when they start is no log."""
    for role in ("worker", "beat"):
        yield from (line for line in site.processes[role].said().splitlines() if line.startswith("{"))
