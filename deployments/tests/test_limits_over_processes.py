"""The promises of limits, on the real thing: four web processes and two workers on PostgreSQL and Redis."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from deployments.tests.site_api import EVERYTHING, SiteApi, expect_problem
from deployments.tests.test_daily_budget import parallel_document
from executor.json_types import JsonObject
from orchestration_site.proving.processes import WORKER_IS_READY, Process, commands_of_roles, wait_until_ready
from orchestration_site.proving.servers import free_port
from orchestration_site.tests.sites import Site

WEB_PROCESSES = 4
CALLS = 200
LIMIT = 50
AN_HOUR: JsonObject = {"rate_count": LIMIT, "rate_seconds": 3600}


@pytest.fixture(scope="module")
def processes(distributed_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The site with three more web processes and one more worker, while the module lasts; the web processes' URLs."""
    folder = tmp_path_factory.mktemp("processes")
    ports = [free_port() for _ in range(WEB_PROCESSES - 1)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    started = [start("web", port, distributed_site, folder) for port in ports]
    worker = start("worker", free_port(), distributed_site, folder)
    try:
        for url, process in zip(urls, started, strict=True):
            wait_until_ready(url, process)
        worker.wait_for_line(WORKER_IS_READY)
        yield [distributed_site.base_url, *urls]
    finally:
        for process in (*started, worker):
            process.stop()


def start(role: str, port: int, site: Site, folder: Path) -> Process:
    return Process.start(f"{role}-{port}", commands_of_roles(port)[role], site.env, folder)


@pytest.fixture(scope="module")
def api(distributed_site: Site) -> SiteApi:
    return SiteApi(distributed_site, distributed_site.make_key(scopes=EVERYTHING))


def call_all(urls: Sequence[str], paths: Sequence[str], key: str) -> list[httpx.Response]:
    """All calls at once, in turns over the processes and the endpoints."""

    async def call() -> list[httpx.Response]:
        headers = {"Authorization": f"Bearer {key}", "Prefer": "respond-async"}
        pool = httpx.Limits(max_connections=CALLS)
        async with httpx.AsyncClient(headers=headers, timeout=60, limits=pool) as client:
            calls = [
                client.post(urls[number % len(urls)] + paths[number // len(urls) % len(paths)], json={"text": "Hello."})
                for number in range(CALLS)
            ]
            return await asyncio.gather(*calls)

    return asyncio.run(call())


def expect_fifty(answers: Sequence[httpx.Response], whose: str) -> None:
    assert Counter(answer.status_code for answer in answers) == {202: LIMIT, 429: CALLS - LIMIT}
    for answer in answers:
        if answer.status_code == 429:
            assert whose in expect_problem(answer, 429, "rate-limit")["detail"]
            assert 3_500 < int(answer.headers["Retry-After"]) <= 3_600


def test_of_200_calls_at_once_a_deployments_limit_lets_50_pass(api: SiteApi, processes: list[str]) -> None:
    deployed = api.deploy(limits=AN_HOUR)
    expect_fifty(call_all(processes, [deployed.path], api.site.make_key()), "This deployment")
    assert deployed.count_executions() == LIMIT


def test_of_200_calls_at_once_a_keys_limit_lets_50_pass(api: SiteApi, processes: list[str]) -> None:
    endpoints = [api.deploy(), api.deploy()]
    made = api.http.post("/api/keys", json={"name": "limited", "scopes": ["execute"], "limits": AN_HOUR})
    answers = call_all(processes, [endpoint.path for endpoint in endpoints], made.json()["key"])
    expect_fifty(answers, "This API key")
    assert sum(endpoint.count_executions() for endpoint in endpoints) == LIMIT


def test_of_20_agents_at_once_a_days_budget_lets_7_call(api: SiteApi, processes: list[str]) -> None:
    """Four executions of five agents each, over two workers; every call uses what was reserved for it."""
    measured = api.deploy_document(parallel_document(1, model="openai:usage-1-1"))
    tokens = reserved_tokens(api, measured.call().json()["execution_id"])
    model = f"openai:usage-{tokens - 1}-1+latency-300"
    deployed = api.deploy_document(parallel_document(5, model=model))
    deployed.change(limits={"daily_max_tokens": 7 * tokens})
    asked = [deployed.call(Prefer="respond-async").json()["execution_id"] for _ in range(4)]
    ended = [api.wait_for_end(execution_id) for execution_id in asked]
    requests = api.site.provider.counters.by_model[model.removeprefix("openai:")]
    assert requests == 7
    calls = [usage["calls"] for each in ended if isinstance(usage := each["usage"], dict)]
    assert sum(int(str(count)) for count in calls) == 7
    shown = api.http.get(f"/api/deployments/{deployed.id}/daily-use").json()
    assert shown["tokens"] == 7 * tokens
    refused = deployed.call()
    problem = expect_problem(refused, 429, "daily-budget")
    assert "opens again at" in problem["detail"]
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert api.site.provider.counters.by_model[model.removeprefix("openai:")] == 7


def reserved_tokens(api: SiteApi, execution_id: str) -> int:
    events = api.http.get(f"/api/executions/{execution_id}").json()["events"]
    (started,) = [event for event in events if event["type"] == "agent.started"]
    tokens: int = started["payload"]["reserved"]["tokens"]
    return tokens
