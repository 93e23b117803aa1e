"""Executions and descriptions over REST: the rest of the API's table of resources, over a socket."""

from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from deployments.tests.site_api import NOBODY, History, SiteApi, events_of, expect_problem


class TestExecutions:
    def test_logs_are_newest_first_without_payloads(self, api: SiteApi, history: History) -> None:
        deployed, failed, completed = history
        logs = api.http.get(f"/api/deployments/{deployed.id}/logs?limit=100").json()["results"]
        assert [row["execution_id"] for row in logs] == [*reversed(completed), failed]
        assert list(logs[0]) == [
            "id",
            "execution_id",
            "deployment_id",
            "design_id",
            "version",
            "status",
            "error_code",
            "reason",
            "trigger_type",
            "triggered_by",
            "request_id",
            "error",
            "usage",
            "cost",
            "attempt",
            "parent",
            "scheduled_for",
            "created_at",
            "started_at",
            "completed_at",
            "duration_ms",
            "payload_removed_at",
        ]

    def test_logs_are_filtered(self, api: SiteApi, history: History) -> None:
        deployed, failed, completed = history
        url = f"/api/deployments/{deployed.id}/logs"

        def found(**query: Any) -> list[str]:
            answer = api.http.get(url, params=query)
            assert answer.status_code == 200, answer.text
            return [row["execution_id"] for row in answer.json()["results"]]

        assert found(status="failed") == [failed]
        assert found(status=["failed", "completed"]) == [*reversed(completed), failed]
        assert found(trigger_type="manual") == []
        assert found(version=1, trigger_type="api") == [*reversed(completed), failed]
        assert found(version=2) == []
        assert found(search=failed) == [failed]
        assert found(search="provider_error") == [failed]
        assert found(search="key:te") == [*reversed(completed), failed]
        created = api.http.get(f"{url}/{completed[0]}").json()["created_at"]
        assert found(created_after=created) == [*reversed(completed)]
        assert found(created_before=created) == [failed]
        expect_problem(api.http.get(url, params={"version": "1e400"}), 422, "validation-failed")
        for instant in ("yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
            expect_problem(api.http.get(url, params={"created_after": instant}), 422, "validation-failed")
            expect_problem(api.http.get(url, params={"created_before": instant}), 422, "validation-failed")

    def test_one_log_has_everything_with_the_trace(self, api: SiteApi, history: History) -> None:
        deployed, failed, completed = history
        shown = api.http.get(f"/api/deployments/{deployed.id}/logs/{completed[0]}").json()
        assert shown == api.http.get(f"/api/executions/{completed[0]}").json()
        assert shown["input_data"] == {"text": "Hello there."}
        assert shown["result_data"]["output"].startswith("Mock answer")
        assert [event["seq"] for event in shown["events"]] == list(range(1, len(shown["events"]) + 1))
        assert shown["events"][0]["type"] == "execution.accepted"
        assert shown["events"][-1]["type"] == "execution.completed"
        assert (shown["attempt"], shown["error"], shown["error_code"]) == (1, None, None)
        assert shown["usage"]["calls"] == 1
        broken = api.http.get(f"/api/executions/{failed}").json()
        assert (broken["status"], broken["error_code"]) == ("failed", "provider_error")

    def test_a_log_of_another_deployment_is_a_404(self, api: SiteApi, history: History) -> None:
        _, failed, _ = history
        expect_problem(api.http.get(f"/api/deployments/{api.deploy().id}/logs/{failed}"), 404, "not-found")

    def test_all_executions_are_listed_with_the_filters_of_logs(self, api: SiteApi, history: History) -> None:
        deployed, _, completed = history
        query = {"deployment_id": deployed.id, "status": "completed"}
        rows = api.http.get("/api/executions", params=query).json()["results"]
        assert [row["execution_id"] for row in rows] == [*reversed(completed)]
        assert "input_data" not in rows[0]
        by_design = api.http.get("/api/executions", params={"design_id": deployed.design_id, "limit": 1})
        assert len(by_design.json()["results"]) == 1
        assert by_design.json()["next"]

    def test_events_are_a_stream_that_is_resumed_after_the_last_id(self, api: SiteApi, history: History) -> None:
        _, _, completed = history
        url = f"/api/executions/{completed[0]}/events"
        whole = api.http.get(url, headers={"Accept": "text/event-stream"})
        assert whole.headers["Content-Type"] == "text/event-stream"
        assert whole.headers["Cache-Control"].startswith("no-cache")
        events = events_of(whole.text)
        assert [int(seq or 0) for seq, _, _ in events] == list(range(1, len(events) + 1))
        assert all(data["type"] == kind and str(data["seq"]) == seq for seq, kind, data in events)
        assert set(events[0][2]) == {"seq", "type", "block_id", "agent", "payload", "at"}
        assert events[-1][1] == "execution.completed"
        rest = events_of(api.http.get(url, headers={"Last-Event-ID": "3"}).text)
        assert rest == events[3:]
        assert events_of(api.http.get(f"{url}?after=3").text) == rest
        expect_problem(api.http.get(url, headers={"Last-Event-ID": "x"}), 400, "bad-position")

    def test_cancel_is_a_202_and_once_it_has_ended_a_409(self, api: SiteApi) -> None:
        deployed = api.deploy("openai:stall")
        with deployed.running() as execution_id:
            answer = api.http.post(f"/api/executions/{execution_id}/cancel")
            assert answer.status_code == 202
            assert answer.headers["Location"] == f"/api/executions/{execution_id}"
            ended = api.wait_for_end(execution_id)
            assert ended["status"] == "cancelled"
            assert "key:test" in str(ended["error"])
            expect_problem(api.http.post(f"/api/executions/{execution_id}/cancel"), 409, "execution-ended")

    @pytest.mark.parametrize("url", [f"/api/executions/{NOBODY}", "/api/executions/x", "/api/nothing"])
    def test_what_is_not_there_is_a_404(self, api: SiteApi, url: str) -> None:
        expect_problem(api.http.get(url), 404, "not-found")


class TestDescriptions:
    def test_get_says_what_the_endpoint_is(self, api: SiteApi) -> None:
        deployed = api.deploy()
        answer = api.http.get(deployed.path)
        assert answer.status_code == 200
        body = answer.json()
        assert body["input_schema"]["required"] == ["text"]
        assert set(body["calls"]) == {"curl", "python", "javascript"}
        assert all(f"{api.site.base_url}{deployed.path}" in call for call in body["calls"].values())
        assert deployed.call(body["example"]).status_code == 200

    def test_openapi_of_one_endpoint_is_valid_and_typed_by_its_schema(self, api: SiteApi) -> None:
        deployed = api.deploy(
            input_schema={
                "type": "object",
                "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/item"}}},
                "$defs": {"item": {"type": "object", "properties": {"$ref": {"const": {"$ref": "#/x"}}}}},
            }
        )
        document = api.http.get(f"{deployed.path}/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
        schema = document["components"]["schemas"]["Input"]
        assert schema["properties"]["items"]["items"]["$ref"] == "#/components/schemas/Input/$defs/item"
        assert schema["$defs"]["item"]["properties"]["$ref"]["const"] == {"$ref": "#/x"}
        assert list(document["paths"]) == [deployed.path]

    def test_openapi_of_all_is_valid(self, api: SiteApi) -> None:
        answer = httpx.get(f"{api.site.base_url}/api/schema")
        assert answer.headers["Content-Type"].startswith("application/json")
        document = answer.json()
        assert document["openapi"].startswith("3.1")
        assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
        assert set(document["components"]["securitySchemes"]) == {"apiKey", "session"}

    def test_the_docs_are_a_page(self, api: SiteApi) -> None:
        answer = httpx.get(f"{api.site.base_url}/api/docs")
        assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, "text/html")

    def test_the_root_lists_the_lists(self, api: SiteApi) -> None:
        links = api.http.get("/api/").json()
        assert {"designs", "deployments", "executions", "keys"} <= set(links)
        assert all(api.http.get(link).status_code == 200 for link in links.values())
