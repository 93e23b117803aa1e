"""Re-runs over a socket: what is answered, what runs, and what the provider is asked again."""

import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from deployments.tests.builders import chain_document
from deployments.tests.site_api import EVERYTHING, NOBODY, TEXT_SCHEMA, Deployed, SiteApi, expect_problem, pointers
from executor.json_types import JsonObject
from orchestration_site.proving.processes import wait_for_url, wait_until_ready
from orchestration_site.tests.sites import Site, run_distributed_site, run_embedded_site

pytestmark = pytest.mark.long
IMPATIENT: dict[str, Any] = {"LEASE_SECONDS": 3, "HEARTBEAT_SECONDS": 0.5, "SWEEP_SECONDS": 0.3}


class Chain:
    """A deployment of three blocks, `a`, `b` and `c`, on models of its own. What `b` and `c` do at first is given."""

    def __init__(self, api: SiteApi, b: str = "status-400-1", c: str = "normal") -> None:
        unique = secrets.token_hex(4)
        self.api = api
        self.models = {"a": f"normal+a{unique}", "b": f"{b}+b{unique}", "c": f"{c}+c{unique}"}
        tasks = {"a": "Say {{input.text}}.", "c": "Say {{input.text}} once more."}
        document = chain_document(
            *(f"openai:{model}" for model in self.models.values()), tasks=tasks, input_schema=TEXT_SCHEMA
        )
        self.deployed: Deployed = api.deploy_document(document)

    @property
    def asked(self) -> dict[str, int]:
        """How often the provider was asked, by block."""
        counted = self.api.site.provider.counters.by_model
        return {block_id: counted[model] for block_id, model in self.models.items()}

    def run(self) -> JsonObject:
        """An execution that has ended."""
        started = self.deployed.call(Prefer="respond-async")
        assert started.status_code == 202, started.text
        return self.api.wait_for_end(started.json()["execution_id"])


def rerun(api: SiteApi, execution: Mapping[str, Any], start_from: Any = "failed", **body: Any) -> httpx.Response:
    headers = body.pop("headers", {})
    url = f"/api/executions/{execution['execution_id']}/rerun"
    return api.http.post(url, json={"from": start_from, **body}, headers=headers)


@pytest.fixture(scope="module")
def failed(api: SiteApi) -> tuple[Chain, JsonObject]:
    """A chain whose `b` has failed once, and that execution."""
    chain = Chain(api)
    execution = chain.run()
    assert (execution["status"], chain.asked) == ("failed", {"a": 1, "b": 1, "c": 0})
    return chain, execution


class TestRerunning:
    def test_a_rerun_from_what_failed_is_a_201_and_asks_only_what_has_no_result(self, api: SiteApi) -> None:
        chain = Chain(api)
        parent = chain.run()
        answer = rerun(api, parent)
        assert answer.status_code == 201, answer.text
        shown = answer.json()
        assert answer.headers["Location"] == f"/api/executions/{shown['execution_id']}"
        assert (shown["parent"], shown["trigger_type"]) == (parent["id"], "manual")
        assert (shown["version"], shown["deployment_id"]) == (parent["version"], chain.deployed.id)
        ended = api.wait_for_end(shown["execution_id"])
        assert (ended["status"], chain.asked) == ("completed", {"a": 1, "b": 2, "c": 1})
        assert (ended["input_data"], ended["usage"]["calls"]) == (parent["input_data"], 2)  # type: ignore[index, call-overload]  # JSON
        events: Any = ended["events"]
        assert (events[0]["payload"]["parent"], events[0]["payload"]["from"]) == (parent["id"], "failed")
        assert api.http.get(f"/api/executions/{parent['id']}").json()["reruns"] == [shown["id"]]

    def test_a_rerun_from_a_block_takes_an_edited_input(self, api: SiteApi) -> None:
        chain = Chain(api, b="normal")
        parent = chain.run()
        shown = rerun(api, parent, "c", input_data={"text": "Something else."}).json()
        ended = api.wait_for_end(shown["execution_id"])
        assert (ended["status"], chain.asked) == ("completed", {"a": 1, "b": 1, "c": 2})
        assert ended["input_data"] == {"text": "Something else."}
        last = [request for request in api.site.provider.requests if request.model == chain.models["c"]][-1]
        assert last.last_user_text.startswith("Say Something else. once more.")

    def test_a_rerun_from_the_start_asks_everything_and_is_at_once_answered(self, api: SiteApi) -> None:
        chain = Chain(api, b="stall-2")
        with chain.deployed.running() as execution_id:
            wait_until_asked(chain, "b")
            expect_problem(rerun(api, {"execution_id": execution_id}, "start"), 409, "execution-not-ended")
        body = {"input_data": None, "headers": {"Prefer": "wait=300"}}
        stalled = rerun(api, {"execution_id": execution_id}, "start", **body)
        assert stalled.status_code == 201, stalled.text
        assert stalled.json()["status"] in ("queued", "running")
        wait_until_asked(chain, "b", 2)
        api.http.post(f"/api/executions/{stalled.json()['execution_id']}/cancel")
        api.wait_for_end(stalled.json()["execution_id"])
        ended = api.wait_for_end(rerun(api, stalled.json(), "start").json()["execution_id"])
        assert (ended["status"], chain.asked) == ("completed", {"a": 3, "b": 3, "c": 1})

    def test_an_idempotency_key_makes_two_requests_one_rerun(self, api: SiteApi) -> None:
        parent = Chain(api).run()
        once = {"Idempotency-Key": "again"}
        first, second = rerun(api, parent, headers=once), rerun(api, parent, headers=once)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["id"] == second.json()["id"]
        assert second.headers["Location"] == first.headers["Location"]
        assert second.headers["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first.headers
        expect_problem(rerun(api, parent, "start", headers=once), 422, "idempotency-key-reused")

    def test_a_draft_is_run_again(self, api: SiteApi) -> None:
        design_id = api.store(f"openai:status-400-1+{secrets.token_hex(4)}")
        run = api.http.post(f"/api/designs/{design_id}/execute", json={"input_data": {"text": "Hello."}})
        parent = {"execution_id": run.json()["execution_id"]}
        expect_problem(run, 502, "provider-failed")
        refused = rerun(api, parent, headers={"Idempotency-Key": "again"})
        expect_problem(refused, 400, "bad-idempotency-key")
        ended = api.wait_for_end(rerun(api, parent).json()["execution_id"])
        assert (ended["status"], ended["deployment_id"]) == ("completed", None)


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "pointer", "code"),
        [
            ({}, "/from", "required"),
            ({"from": None}, "/from", "null"),
            ({"from": ""}, "/from", "blank"),
            ({"from": ["a"]}, "/from", "invalid"),
            ({"from": "d"}, "/from", "unknown_block"),
            ({"from": "c"}, "/from", "missing_results"),
            ({"from": "failed", "input_data": {"text": 7}}, "/input_data/text", "type"),
            ({"from": "failed", "input_data": []}, "/input_data", "object"),
            ({"from": "failed", "version": 2}, "/version", "unknown_field"),
        ],
        ids=str,
    )
    def test_what_cannot_be_is_a_422_that_says_where(
        self, api: SiteApi, failed: tuple[Chain, JsonObject], body: Any, pointer: str, code: str
    ) -> None:
        url = f"/api/executions/{failed[1]['id']}/rerun"
        problem = expect_problem(api.http.post(url, json=body), 422, "validation-failed")
        assert pointers(problem) == {pointer}
        assert [error["code"] for error in problem["errors"]] == [code]
        assert api.http.get(f"/api/executions/{failed[1]['id']}").json()["reruns"] == []

    def test_from_failed_where_nothing_failed_is_a_422(self, api: SiteApi, endpoint: Deployed) -> None:
        done = endpoint.call().json()
        problem = expect_problem(rerun(api, done), 422, "validation-failed")
        assert problem["errors"][0]["code"] == "nothing_failed"

    def test_an_undeployed_deployment_is_a_409_and_an_inactive_one_runs(self, api: SiteApi) -> None:
        chain = Chain(api)
        parent = chain.run()
        chain.deployed.change(status="inactive")
        again = rerun(api, parent)
        assert api.wait_for_end(again.json()["execution_id"])["status"] == "completed"
        assert api.http.delete(f"/api/deployments/{chain.deployed.id}").status_code == 204
        expect_problem(rerun(api, parent), 409, "deployment-undeployed")

    def test_a_full_deployment_that_rejects_is_a_429(self, api: SiteApi) -> None:
        chain = Chain(api, c="stall-1")
        parent = chain.run()
        chain.deployed.change(limits={"max_concurrent": 1, "when_full": "reject"})
        first = rerun(api, parent)
        try:
            answer = rerun(api, parent)
            expect_problem(answer, 429, "concurrency-limit")
            assert int(answer.headers["Retry-After"]) > 0
        finally:
            api.http.post(f"/api/executions/{first.json()['id']}/cancel")
            api.wait_for_end(first.json()["id"])

    def test_who_may_not_execute_may_not_run_again_and_who_may_not_see_finds_nothing(
        self, api: SiteApi, failed: tuple[Chain, JsonObject], endpoint: Deployed
    ) -> None:
        chain, execution = failed
        missing = {"execution_id": NOBODY}
        expect_problem(rerun(api.other(None), execution), 401, "not-authenticated")
        expect_problem(rerun(api.other(api.key("read")), execution), 403, "forbidden")
        expect_problem(rerun(api.other(api.key("read")), missing), 404, "not-found")
        elsewhere = api.other(api.key(*EVERYTHING, deployments=[endpoint.id]))
        expect_problem(rerun(elsewhere, execution), 404, "not-found")
        here = api.other(api.key("execute", deployments=[chain.deployed.id]))
        assert pointers(expect_problem(rerun(here, execution, "d"), 422, "validation-failed")) == {"/from"}


@contextmanager
def site_of_its_own(request: pytest.FixtureRequest, mode: str) -> Iterator[Site]:
    """A site whose processes may be killed."""
    if mode == "embedded":
        with run_embedded_site(**IMPATIENT) as site:
            yield site
    else:
        postgres, redis = request.getfixturevalue("postgres_url"), request.getfixturevalue("redis_url")
        with run_distributed_site(postgres, redis, **IMPATIENT) as site:
            yield site


def kill_and_restart(site: Site, role: str) -> None:
    process = site.processes[role]
    process.stop(signal.SIGKILL)
    process.log.write_text("")
    process.restart()
    if role == "serve":
        site.base_url = wait_for_url(process)
        wait_until_ready(site.base_url, process)


@pytest.mark.parametrize(
    ("mode", "role"),
    [
        pytest.param("embedded", "serve", marks=pytest.mark.embedded),
        pytest.param("distributed", "worker", marks=pytest.mark.distributed),
    ],
)
def test_a_rerun_whose_worker_is_killed_goes_on_and_asks_for_nothing_that_is_recorded(
    request: pytest.FixtureRequest, mode: str, role: str
) -> None:
    """`a` is reused, `b` is asked and recorded, `c` is out when the worker is killed."""
    with site_of_its_own(request, mode) as site:
        key = site.make_key(scopes=EVERYTHING)
        chain = Chain(SiteApi(site, key), c="stall-1")
        parent = chain.run()
        again = rerun(chain.api, parent, input_data={"text": "Something else."}).json()
        wait_until_asked(chain, "c")
        kill_and_restart(site, role)
        chain.api = SiteApi(site, key)
        ended = chain.api.wait_for_end(again["execution_id"])
        assert (ended["status"], ended["error"]) == ("completed", None)
        assert int(str(ended["attempt"])) >= 2
        assert chain.asked == {"a": 1, "b": 2, "c": 2}
        events: Any = ended["events"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert not [event for event in events if event["type"] == "execution.warning"]
        of_a = [event for event in events if event["block_id"] == "a"]
        assert of_a
        assert all("reused" in event["payload"] for event in of_a)


def wait_until_asked(chain: Chain, block_id: str, times: int = 1) -> None:
    deadline = time.monotonic() + 60
    while chain.asked[block_id] < times:
        assert time.monotonic() < deadline, f"Block {block_id} was not asked {times} times in 60 seconds."
        time.sleep(0.05)
