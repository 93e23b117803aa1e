"""Designs and deployments over REST: every row of the API's table of resources, over a socket."""

import json
import threading
from typing import Any

import httpx
import pytest

from deployments.tests.site_api import NOBODY, SiteApi, design_document, expect_problem, json_body, new_path, pointers


class TestDesigns:
    def test_a_design_is_stored_with_201_and_a_location(self, api: SiteApi) -> None:
        stored = api.http.post("/api/designs", json=design_document())
        assert stored.status_code == 201
        assert stored.headers["Location"] == f"/api/designs/{stored.json()['id']}"
        assert stored.json()["problems"] == []
        assert api.http.get(stored.headers["Location"]).status_code == 200
        assert stored.json()["id"] in [row["id"] for row in api.http.get("/api/designs").json()["results"]]

    def test_a_design_is_replaced_changed_and_deleted(self, api: SiteApi) -> None:
        url = f"/api/designs/{api.store()}"
        assert api.http.put(url, json=design_document(name="Second")).json()["name"] == "Second"
        assert api.http.patch(url, json={"name": "Third"}).json()["name"] == "Third"
        assert api.http.delete(url).status_code == 204
        expect_problem(api.http.get(url), 404, "not-found")

    def test_a_design_that_is_deployed_is_not_deleted(self, api: SiteApi) -> None:
        deployed = api.deploy()
        refused = expect_problem(api.http.delete(f"/api/designs/{deployed.design_id}"), 409, "design-deployed")
        assert deployed.path in json.dumps(refused)

    def test_validate_answers_with_the_problems_and_stores_nothing(self, api: SiteApi) -> None:
        sound = api.http.post("/api/designs/validate", json=design_document())
        assert (sound.status_code, sound.json()) == (200, {"problems": []})
        unsound = api.http.post("/api/designs/validate", json=design_document("nobody:model"))
        assert [problem["code"] for problem in unsound.json()["problems"]] == ["unknown_model"]

    def test_versions_are_listed_and_read(self, api: SiteApi) -> None:
        deployed = api.deploy()
        versions = api.http.get(f"/api/designs/{deployed.design_id}/versions").json()["results"]
        assert [version["number"] for version in versions] == [1]
        version = api.http.get(f"/api/designs/{deployed.design_id}/versions/1")
        assert version.json()["document"]["name"] == "Summary"

    def test_an_execution_names_the_request_that_asked_for_it(self, api: SiteApi) -> None:
        deployed = api.deploy()
        called = api.http.post(deployed.path, json={"text": "Hello."}, headers={"X-Request-ID": "asked-42"})
        shown = api.http.get(f"/api/executions/{called.json()['execution_id']}").json()
        assert (called.headers["X-Request-ID"], shown["request_id"]) == ("asked-42", "asked-42")

    def test_a_draft_is_run_without_deploying_it(self, api: SiteApi) -> None:
        design_id = api.store()
        run = api.http.post(f"/api/designs/{design_id}/execute", json={"input_data": {"text": "Hello."}})
        assert run.status_code == 200
        shown = api.http.get(f"/api/executions/{run.json()['execution_id']}").json()
        assert (shown["trigger_type"], shown["deployment_id"], shown["version"]) == ("manual", None, 1)

    def test_one_block_of_a_draft_is_run_and_the_draft_gets_no_version(self, api: SiteApi) -> None:
        design_id = api.store()
        block_id = api.http.get(f"/api/designs/{design_id}").json()["document"]["blocks"][0]["id"]
        body = {"block_id": block_id, "input_data": {"text": "Only this."}}
        run = api.http.post(f"/api/designs/{design_id}/execute", json=body)
        assert run.status_code == 200, run.text
        shown = api.http.get(f"/api/executions/{run.json()['execution_id']}").json()
        assert list(shown["result_data"]["blocks"]) == [block_id]
        assert api.http.get(f"/api/designs/{design_id}").json()["latest_version"] is None
        refused = api.http.post(f"/api/designs/{design_id}/execute", json={**body, "block_id": "nothing"})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/block_id")

    def test_a_draft_with_problems_is_not_run(self, api: SiteApi) -> None:
        design_id = api.store("nobody:model")
        refused = api.http.post(f"/api/designs/{design_id}/execute", json={})
        assert expect_problem(refused, 422, "design-invalid")["errors"][0]["code"] == "unknown_model"


class TestDeploying:
    def test_a_design_is_deployed_with_201_a_location_and_its_shape(self, api: SiteApi) -> None:
        path = new_path()
        made = api.http.post("/api/deployments", json={"design_id": api.store(), "endpoint_path": path})
        assert made.status_code == 201
        shown = made.json()
        assert made.headers["Location"] == f"/api/deployments/{shown['id']}"
        assert made.headers["ETag"] == '"1"'
        assert list(shown) == [
            "id",
            "design_id",
            "design_name",
            "version",
            "endpoint_path",
            "url",
            "status",
            "status_reason",
            "schedule",
            "limits",
            "retention",
            "last_execution_at",
            "execution_count",
            "created_at",
            "updated_at",
            "updated_by",
        ]
        assert shown["endpoint_path"] == f"/api/deployed/{path}"
        assert shown["url"] == f"{api.site.base_url}/api/deployed/{path}"
        assert (shown["status"], shown["version"], shown["schedule"]) == ("active", 1, None)
        assert list(shown["limits"]) == [
            "rate_count",
            "rate_seconds",
            "daily_max_tokens",
            "daily_max_cost_usd",
            "max_concurrent",
            "when_full",
            "deadline_seconds",
            "max_calls",
            "max_tokens",
            "max_cost_usd",
            "max_payload_bytes",
        ]

    def test_a_design_that_does_not_validate_is_a_422_with_its_problems(self, api: SiteApi) -> None:
        body = {"design_id": api.store("nobody:model"), "endpoint_path": new_path()}
        refused = expect_problem(api.http.post("/api/deployments", json=body), 422, "design-invalid")
        assert refused["errors"][0]["pointer"].startswith("/blocks/0/")

    def test_a_taken_path_is_a_409_in_any_spelling(self, api: SiteApi) -> None:
        deployed = api.deploy()
        for spelling in (deployed.path, deployed.path.removeprefix("/api/deployed/"), f"{deployed.path}/"):
            body = {"design_id": deployed.design_id, "endpoint_path": spelling}
            expect_problem(api.http.post("/api/deployments", json=body), 409, "endpoint-taken")

    def test_of_two_that_deploy_to_one_path_at_once_one_gets_it(self, api: SiteApi) -> None:
        body = {"design_id": api.store(), "endpoint_path": new_path()}
        answers: list[int] = []

        def deploy() -> None:
            answers.append(
                httpx.post(f"{api.site.base_url}/api/deployments", json=body, headers=api.http.headers).status_code
            )

        threads = [threading.Thread(target=deploy) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [201] + [409] * 7

    def test_an_unknown_design_is_a_422(self, api: SiteApi) -> None:
        body = {"design_id": NOBODY, "endpoint_path": new_path()}
        refused = expect_problem(api.http.post("/api/deployments", json=body), 422, "validation-failed")
        assert pointers(refused) == {"/design_id"}

    def test_a_path_that_is_not_canonical_is_a_422_that_proposes_one(self, api: SiteApi) -> None:
        body = {"design_id": api.store(), "endpoint_path": "Feedback Analysis"}
        refused = expect_problem(api.http.post("/api/deployments", json=body), 422, "validation-failed")
        assert pointers(refused) == {"/endpoint_path"}
        assert refused["proposal"] == "/api/deployed/feedback-analysis"

    def test_an_unknown_version_is_a_422(self, api: SiteApi) -> None:
        body = {"design_id": api.store(), "endpoint_path": new_path(), "version": 7}
        refused = expect_problem(api.http.post("/api/deployments", json=body), 422, "validation-failed")
        assert pointers(refused) == {"/version"}

    @pytest.mark.parametrize("name", ["id", "team", "status", "execution_count", "created_at", "enabled"])
    def test_what_a_client_does_not_own_is_refused_by_name(self, api: SiteApi, name: str) -> None:
        body = {"design_id": NOBODY, "endpoint_path": new_path(), name: "x"}
        refused = expect_problem(api.http.post("/api/deployments", json=body), 422, "validation-failed")
        assert f"/{name}" in pointers(refused)

    @pytest.mark.parametrize("body", [[], "text", 7, None, {"design_id": {}}, {"design_id": "x", "endpoint_path": 7.5}])
    def test_other_json_is_a_422(self, api: SiteApi, body: Any) -> None:
        expect_problem(api.http.post("/api/deployments", **json_body(body)), 422, "validation-failed")

    def test_no_body_is_a_400(self, api: SiteApi) -> None:
        expect_problem(api.http.post("/api/deployments"), 400, "malformed-json")

    def test_a_schedule_is_stored_canonical_and_said_in_words(self, api: SiteApi) -> None:
        schedule = {"cron_expression": "0 9 * * FRI-7", "timezone": "Europe/Berlin", "input_data": {"text": "a"}}
        body = {"design_id": api.store(), "endpoint_path": new_path(), "schedule": schedule}
        shown = api.http.post("/api/deployments", json=body).json()["schedule"]
        assert list(shown) == [
            "enabled",
            "cron_expression",
            "interval_seconds",
            "timezone",
            "day_match",
            "overlap",
            "catch_up",
            "catch_up_window_seconds",
            "start_at",
            "end_at",
            "jitter_seconds",
            "pause_after_failures",
            "input_data",
            "next_run_at",
            "words",
            "paused_by",
            "paused_reason",
            "paused_at",
        ]
        assert shown["cron_expression"] == "0 9 * * 0,5,6"
        assert "09:00" in shown["words"]
        assert (shown["overlap"], shown["catch_up"], shown["enabled"]) == ("skip", "latest", True)

    @pytest.mark.parametrize(
        ("schedule", "pointer"),
        [
            ({"enabled": True}, "/schedule/enabled"),
            ({"cron_expression": "0 0 L * *"}, "/schedule/cron_expression"),
            ({"cron_expression": "0 0 13 * 5"}, "/schedule/day_match"),
            ({"cron_expression": "@daily", "interval_seconds": 60}, "/schedule/interval_seconds"),
            ({"interval_seconds": 0}, "/schedule/interval_seconds"),
            ({"interval_seconds": 60, "timezone": "Mars/Base"}, "/schedule/timezone"),
            ({"interval_seconds": 60, "end_at": "2001-01-01T00:00:00Z"}, "/schedule/end_at"),
            ({"interval_seconds": 60, "input_data": {}}, "/schedule/input_data/text"),
            ({"interval_seconds": 60, "next_run_at": None}, "/schedule/next_run_at"),
            ({"interval_seconds": 60, "every": 1}, "/schedule/every"),
            ({"interval_seconds": 60, "overlap": "maybe"}, "/schedule/overlap"),
            ({"interval_seconds": 60, "start_at": "0001-01-01T00:00:00+14:00"}, "/schedule/start_at"),
        ],
    )
    def test_a_schedule_that_cannot_be_is_a_422_at_its_place(
        self, api: SiteApi, schedule: dict[str, Any], pointer: str
    ) -> None:
        schedule = {"input_data": {"text": "a"}} | schedule
        body = {"design_id": api.store(), "endpoint_path": new_path(), "schedule": schedule}
        refused = expect_problem(api.http.post("/api/deployments", json=body), 422, "validation-failed")
        assert pointer in pointers(refused)
