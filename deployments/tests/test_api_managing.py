"""Deployments over REST once they are made: listed, changed, undeployed, executed by hand, over a socket."""

from typing import Any

import pytest

from deployments.tests.site_api import NOBODY, SiteApi, design_document, expect_problem, pointers


class TestManagingDeployments:
    def test_the_list_is_filtered_and_pages_by_keyset(self, api: SiteApi) -> None:
        first, second = api.deploy(name="Findable"), api.deploy(name="Findable")
        second.change(status="inactive")
        found = api.http.get("/api/deployments", params={"search": "findABLE"}).json()["results"]
        assert [row["id"] for row in found][:2] == [second.id, first.id]
        inactive = api.http.get("/api/deployments", params={"status": "inactive", "search": "Findable"}).json()
        assert first.id not in [row["id"] for row in inactive["results"]]
        for spelling in (first.path, first.path.removeprefix("/api/deployed/")):
            named = api.http.get("/api/deployments", params={"endpoint_path": spelling}).json()["results"]
            assert [row["id"] for row in named] == [first.id]
        page = api.http.get("/api/deployments", params={"limit": 1, "search": "Findable"})
        assert page.json()["next"] in page.headers["Link"]
        rest = api.http.get(page.json()["next"]).json()["results"]
        assert rest[0]["id"] == first.id

    @pytest.mark.parametrize("url", ["/api/deployments", "/api/executions", "/api/keys", "/api/designs"])
    def test_an_unknown_parameter_is_refused_by_name(self, api: SiteApi, url: str) -> None:
        refused = expect_problem(api.http.get(url, params={"satus": "active"}), 422, "validation-failed")
        assert "satus" in refused["detail"]

    @pytest.mark.parametrize(
        "query", ["status=broken", "limit=0", "limit=501", "limit=x", "cursor=x", "search=%00", "status=%00"]
    )
    def test_a_parameter_that_means_nothing_is_a_422(self, api: SiteApi, query: str) -> None:
        expect_problem(api.http.get(f"/api/deployments?{query}"), 422, "validation-failed")

    def test_both_forms_of_an_address_answer(self, api: SiteApi) -> None:
        deployed = api.deploy()
        assert api.http.get(f"/api/deployments/{deployed.id}/").status_code == 200
        assert api.http.get("/api/deployments/").status_code == 200
        assert api.http.post(f"{deployed.path}/", json={"text": "Hello."}).status_code == 200

    def test_put_takes_some_fields_and_leaves_the_others(self, api: SiteApi) -> None:
        deployed = api.deploy(limits={"max_calls": 7})
        shown = deployed.change(status="inactive").json()
        assert shown["status"] == "inactive"
        assert "inactive by key:test" in shown["status_reason"]
        assert shown["limits"]["max_calls"] == 7
        assert deployed.change(status="active").json()["status_reason"] is None

    def test_put_replaces_schedule_and_limits_whole_and_null_removes_the_schedule(self, api: SiteApi) -> None:
        deployed = api.deploy()
        schedule = {"interval_seconds": 300, "jitter_seconds": 5, "input_data": {"text": "a"}}
        assert deployed.change(schedule=schedule).json()["schedule"]["words"] == "Every 5 minutes"
        replaced = deployed.change(schedule={"interval_seconds": 60, "input_data": {"text": "a"}}).json()
        assert replaced["schedule"]["jitter_seconds"] == 0
        assert deployed.change(schedule=None).json()["schedule"] is None
        deployed.change(limits={"max_calls": 7, "max_cost_usd": "0.50"})
        limits = deployed.change(limits={"max_tokens": 9}).json()["limits"]
        assert (limits["max_calls"], limits["max_tokens"], limits["max_cost_usd"]) == (None, 9, None)

    def test_patch_changes_only_the_given_fields_of_schedule_and_limits(self, api: SiteApi) -> None:
        deployed = api.deploy(limits={"max_calls": 7, "max_cost_usd": "0.50"})
        deployed.change(schedule={"interval_seconds": 300, "jitter_seconds": 5, "input_data": {"text": "a"}})
        url = f"/api/deployments/{deployed.id}"
        shown = api.http.patch(url, json={"schedule": {"enabled": False}, "limits": {"max_tokens": 9}}).json()
        assert (shown["schedule"]["enabled"], shown["schedule"]["jitter_seconds"]) == (False, 5)
        assert (shown["limits"]["max_calls"], shown["limits"]["max_cost_usd"]) == (7, "0.5")
        both = api.http.patch(url, json={"schedule": {"cron_expression": "@daily"}})
        assert "/schedule/interval_seconds" in pointers(expect_problem(both, 422, "validation-failed"))

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"status": "error"}, "/status"),
            ({"endpoint_path": "other"}, "/endpoint_path"),
            ({"id": NOBODY}, "/id"),
            ({"limits": {"rate_count": 5}}, "/limits/rate_seconds"),
            ({"limits": {"max_cost_usd": "1e400"}}, "/limits/max_cost_usd"),
            ({"limits": {"max_concurrent": 0}}, "/limits/max_concurrent"),
            ({"limits": None}, "/limits"),
            ({"version": 0}, "/version"),
            ({"version": True}, "/version"),
            ({"version": 12}, "/version"),
        ],
    )
    def test_a_change_that_cannot_be_is_a_422_at_its_place(
        self, api: SiteApi, changes: dict[str, Any], pointer: str
    ) -> None:
        refused = api.http.put(f"/api/deployments/{api.deploy().id}", json=changes)
        assert pointer in pointers(expect_problem(refused, 422, "validation-failed"))

    def test_if_match_refuses_a_change_of_what_was_changed(self, api: SiteApi) -> None:
        deployed = api.deploy()
        url = f"/api/deployments/{deployed.id}"
        tag = api.http.get(url).headers["ETag"]
        changed = api.http.put(url, json={"status": "inactive"}, headers={"If-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["ETag"] != tag
        again = api.http.put(url, json={"status": "active"}, headers={"If-Match": tag})
        expect_problem(again, 412, "precondition-failed")
        expect_problem(api.http.delete(url, headers={"If-Match": tag}), 412, "precondition-failed")
        assert api.http.get(url).json()["status"] == "inactive"

    def test_the_deployed_version_is_switched_and_rolled_back(self, api: SiteApi) -> None:
        deployed = api.deploy()
        api.http.put(f"/api/designs/{deployed.design_id}", json=design_document(name="Second", input_schema=None))
        assert deployed.change(version="latest").json()["version"] == 2
        assert deployed.call({}).status_code == 200
        assert deployed.change(version=1).json()["version"] == 1
        expect_problem(deployed.call({}), 422, "validation-failed")

    def test_a_version_that_refuses_the_schedules_input_is_not_switched_to(self, api: SiteApi) -> None:
        deployed = api.deploy(input_schema=None)
        deployed.change(schedule={"interval_seconds": 300, "input_data": {"other": 1}})
        api.http.put(f"/api/designs/{deployed.design_id}", json=design_document())
        url = f"/api/deployments/{deployed.id}"
        refused = expect_problem(api.http.put(url, json={"version": "latest"}), 422, "validation-failed")
        assert "/schedule/input_data/text" in pointers(refused)
        assert api.http.get(url).json()["version"] == 1
        suited = {"interval_seconds": 300, "input_data": {"text": "a"}}
        assert deployed.change(version="latest", schedule=suited).json()["version"] == 2

    def test_undeploying_frees_the_path_and_keeps_the_history(self, api: SiteApi) -> None:
        deployed = api.deploy()
        execution_id = deployed.call().json()["execution_id"]
        url = f"/api/deployments/{deployed.id}"
        assert api.http.delete(url).status_code == 204
        expect_problem(api.http.get(url), 404, "not-found")
        expect_problem(api.http.delete(url), 404, "not-found")
        expect_problem(deployed.call(), 404, "not-found")
        again = {"design_id": deployed.design_id, "endpoint_path": deployed.path}
        assert api.http.post("/api/deployments", json=again).status_code == 201
        logs = api.http.get(f"{url}/logs").json()["results"]
        assert [row["execution_id"] for row in logs] == [execution_id]
        assert logs[0]["deployment_id"] == deployed.id
        assert api.http.get(f"{url}/logs/{execution_id}").status_code == 200

    def test_undeploying_lets_running_executions_finish_and_cancels_queued_ones(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:latency-4000", limits={"max_concurrent": 1})
        with api.http.stream("POST", deployed.path, json={"text": "a"}, headers={"Accept": "text/event-stream"}) as run:
            lines = run.iter_lines()
            assert any(line == "event: agent.started" for line in lines)
            queued = deployed.call(Prefer="respond-async").json()["execution_id"]
            assert api.http.delete(f"/api/deployments/{deployed.id}").status_code == 204
            assert api.wait_for_end(queued)["status"] == "cancelled"
            assert any(line == "event: execution.completed" for line in lines)

    def test_execute_by_hand_works_while_the_deployment_is_inactive(self, api: SiteApi) -> None:
        deployed = api.deploy()
        deployed.change(status="inactive")
        run = api.http.post(f"/api/deployments/{deployed.id}/execute", json={"input_data": {"text": "Hello."}})
        assert run.status_code == 200
        shown = api.http.get(f"/api/executions/{run.json()['execution_id']}").json()
        assert (shown["trigger_type"], shown["triggered_by"]) == ("manual", "key:test")

    def test_execute_by_hand_checks_its_input_too(self, api: SiteApi) -> None:
        url = f"/api/deployments/{api.deploy().id}/execute"
        refused = expect_problem(api.http.post(url), 422, "validation-failed")
        assert pointers(refused) == {"/input_data/text"}
        refused = expect_problem(api.http.post(url, json={"input": {}}), 422, "validation-failed")
        assert pointers(refused) == {"/input"}
