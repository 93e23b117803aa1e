"""Idempotency keys, and which of two answers a call gets, over a socket."""

import threading

import httpx
import pytest

from deployments.tests.site_api import SiteApi, expect_problem


class TestIdempotency:
    def test_the_same_key_and_body_is_the_same_execution(self, api: SiteApi) -> None:
        deployed = api.deploy()
        first = deployed.call({"text": "a"}, Idempotency_Key="one")
        again = deployed.call({"text": "a"}, Idempotency_Key="one")
        assert again.json() == first.json()
        assert again.headers["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first.headers
        assert deployed.count_executions() == 1

    def test_the_same_key_with_another_body_is_a_422(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.call({"text": "a"}, Idempotency_Key="one")
        expect_problem(deployed.call({"text": "b"}, Idempotency_Key="one"), 422, "idempotency-key-reused")
        assert deployed.call({"text": "b"}, Idempotency_Key="two").status_code == 200

    def test_ten_equal_requests_at_once_are_one_execution(self, api: SiteApi) -> None:
        deployed = api.deploy()
        answers: list[httpx.Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(deployed.call({"text": "a"}, Idempotency_Key="one")))
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["execution_id"] for answer in answers}) == 1
        assert deployed.count_executions() == 1

    def test_a_key_belongs_to_its_owner_and_its_deployment(self, api: SiteApi) -> None:
        one, two = api.deploy(), api.deploy()
        first = one.call({"text": "a"}, Idempotency_Key="one").json()["execution_id"]
        assert two.call({"text": "a"}, Idempotency_Key="one").json()["execution_id"] != first
        other = api.other(api.key("execute"))
        answer = other.http.post(one.path, json={"text": "a"}, headers={"Idempotency-Key": "one"})
        assert answer.json()["execution_id"] != first

    def test_what_failed_is_answered_again_as_it_failed(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:status-400-1+again")
        first = expect_problem(deployed.call(Idempotency_Key="one"), 502, "provider-failed")
        again = expect_problem(deployed.call(Idempotency_Key="one"), 502, "provider-failed")
        assert again["execution_id"] == first["execution_id"]

    def test_what_still_runs_is_answered_as_it_stands(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:stall")
        first = deployed.call(Idempotency_Key="one", Prefer="respond-async").json()["execution_id"]
        try:
            again = deployed.call(Idempotency_Key="one", Prefer="wait=0")
            assert (again.status_code, again.json()["execution_id"]) == (202, first)
        finally:
            api.http.post(f"/api/executions/{first}/cancel")

    @pytest.mark.parametrize("key", ["", "a" * 256, "caf\u00e9", "a\tb"])
    def test_a_key_that_cannot_be_kept_is_a_400(self, api: SiteApi, key: str) -> None:
        headers = {"Idempotency-Key": key.encode("latin-1")}
        answer = api.http.post(api.deploy().path, json={"text": "a"}, headers=headers)  # type: ignore[arg-type] # bytes are taken
        expect_problem(answer, 400, "bad-idempotency-key")

    def test_255_characters_are_kept(self, api: SiteApi) -> None:
        deployed = api.deploy()
        first = deployed.call({"text": "a"}, Idempotency_Key="k" * 255)
        assert deployed.call({"text": "a"}, Idempotency_Key="k" * 255).json() == first.json()


class TestOrderOfChecks:
    """401, 404, 403, 415 / 413 / 400, idempotency, 409, 422, 429: of two that apply, the earlier one is told."""

    def test_401_comes_before_404(self, api: SiteApi) -> None:
        answer = httpx.post(f"{api.site.base_url}/api/deployed/nothing-here", json={})
        expect_problem(answer, 401, "not-authenticated")

    def test_404_comes_before_403_for_what_may_not_be_seen(self, api: SiteApi) -> None:
        seen, unseen = api.deploy(), api.deploy()
        reader = api.other(api.key("read", deployments=[seen.id]))
        expect_problem(reader.http.post(seen.path, json={}), 403, "forbidden")
        expect_problem(reader.http.post(unseen.path, json={}), 404, "not-found")
        expect_problem(reader.http.post("/api/deployed/nothing-here", json={}), 404, "not-found")
        expect_problem(reader.http.put(f"/api/deployments/{seen.id}", json={}), 403, "forbidden")
        expect_problem(reader.http.put(f"/api/deployments/{unseen.id}", json={}), 404, "not-found")

    def test_403_comes_before_415_and_400(self, api: SiteApi) -> None:
        reader = api.other(api.key("read"))
        answer = reader.http.post(api.deploy().path, content=b"{", headers={"Content-Type": "text/plain"})
        expect_problem(answer, 403, "forbidden")

    def test_400_comes_before_409(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.change(status="inactive")
        answer = api.http.post(deployed.path, content=b"{", headers={"Content-Type": "application/json"})
        expect_problem(answer, 400, "malformed-json")

    def test_a_replay_comes_before_409_and_429(self, api: SiteApi) -> None:
        deployed = api.deploy()
        first = deployed.call({"text": "a"}, Idempotency_Key="one")
        deployed.change(status="inactive")
        assert deployed.call({"text": "a"}, Idempotency_Key="one").json() == first.json()
        expect_problem(deployed.call({"text": "b"}, Idempotency_Key="one"), 422, "idempotency-key-reused")

    def test_409_comes_before_422(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.change(status="inactive")
        expect_problem(deployed.call({}), 409, "deployment-inactive")

    def test_422_comes_before_429(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:stall", limits={"max_concurrent": 1, "when_full": "reject"})
        with deployed.running():
            expect_problem(deployed.call({}), 422, "validation-failed")
            expect_problem(deployed.call(), 429, "concurrency-limit")

    def test_what_was_refused_was_not_accepted(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.call({})
        deployed.change(status="inactive")
        deployed.call()
        assert deployed.count_executions() == 0
