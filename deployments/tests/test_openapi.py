"""The OpenAPI document of all: valid, without a warning of its maker, and true of every route."""

import contextlib
import io
import json
from typing import Any, cast

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from openapi_spec_validator import OpenAPIV31SpecValidator

from deployments.alerts.payloads import EXECUTION_COLUMNS, execution_payload
from deployments.models.alert import ALERT_EVENTS


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Any], str]:
    """The document, and what its maker complained of."""
    GENERATOR_STATS.reset()
    complaints = io.StringIO()
    with contextlib.redirect_stderr(complaints):
        generator: Any = SchemaGenerator
        document = generator().get_schema(request=None, public=True)
        GENERATOR_STATS.emit_summary()
    return document, complaints.getvalue()


def test_it_is_made_without_errors_and_warnings(made: tuple[dict[str, Any], str]) -> None:
    assert made[1].count("Warning:") == 0, made[1]
    assert not GENERATOR_STATS, made[1]


def test_it_is_valid_openapi_3_1(made: tuple[dict[str, Any], str]) -> None:
    assert made[0]["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(made[0]).iter_errors()) == []


def test_its_webhooks_are_what_is_sent(made: tuple[dict[str, Any], str]) -> None:
    assert set(made[0]["webhooks"]) == {*ALERT_EVENTS, "alert.test", "alert.switched_off"}
    row: dict[str, Any] = dict.fromkeys(EXECUTION_COLUMNS)
    sent = execution_payload("execution.failed", row | {"error": ""}, has_result=True)
    shown = schema_sent(made[0], "execution.failed")
    assert set(shown["properties"]) == set(sent)
    data = made[0]["components"]["schemas"]["ExecutionAlertData"]
    told = cast(dict[str, Any], sent["data"])
    assert set(data["properties"]) == set(told)
    assert set(told) - set(data["required"]) == {"result", "result_left_out"}


def schema_sent(document: dict[str, Any], event: str) -> dict[str, Any]:
    content = document["webhooks"][event]["post"]["requestBody"]["content"]["application/json"]
    found: dict[str, Any] = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    return found


def test_it_has_every_resource_of_the_table(made: tuple[dict[str, Any], str]) -> None:
    operations = {f"{method.upper()} {path}" for path, methods in made[0]["paths"].items() for method in methods}
    assert operations >= {
        "GET /api/designs",
        "POST /api/designs",
        "GET /api/designs/{id}",
        "PUT /api/designs/{id}",
        "PATCH /api/designs/{id}",
        "DELETE /api/designs/{id}",
        "POST /api/designs/validate",
        "GET /api/designs/{id}/versions",
        "GET /api/designs/{id}/versions/{number}",
        "POST /api/designs/{design_id}/execute",
        "GET /api/deployments",
        "POST /api/deployments",
        "GET /api/deployments/{id}",
        "PUT /api/deployments/{id}",
        "PATCH /api/deployments/{id}",
        "DELETE /api/deployments/{id}",
        "POST /api/deployments/{id}/execute",
        "GET /api/deployments/{id}/logs",
        "GET /api/deployments/{id}/logs/{log_id}",
        "GET /api/deployments/{id}/schedule/preview",
        "POST /api/deployments/{id}/schedule/pause",
        "POST /api/deployments/{id}/schedule/resume",
        "POST /api/deployments/{id}/schedule/run",
        "POST /api/schedules/preview",
        "GET /api/executions",
        "GET /api/executions/{id}",
        "GET /api/executions/{id}/events",
        "POST /api/executions/{id}/cancel",
        "POST /api/executions/{id}/rerun",
        "POST /api/deployed/{endpoint_path}",
        "GET /api/deployed/{endpoint_path}",
        "GET /api/deployed/{endpoint_path}/openapi.json",
        "GET /api/keys",
        "POST /api/keys",
        "DELETE /api/keys/{id}",
        "GET /api/keys/{id}/daily-use",
        "GET /api/deployments/{id}/daily-use",
    }


def test_every_operation_has_a_summary_or_words_security_and_a_problem(made: tuple[dict[str, Any], str]) -> None:
    for path, methods in made[0]["paths"].items():
        for method, operation in methods.items():
            place = f"{method} {path}"
            assert operation.get("summary") or operation.get("description"), place
            assert {"apiKey": []} in operation["security"], place
            assert {} not in operation["security"], place
            assert "default" in operation["responses"], place


def test_the_problems_of_designs_and_schedules_are_no_problems_of_the_api(made: tuple[dict[str, Any], str]) -> None:
    """Both are lists of places with sentences, and only an error's answer is an RFC 9457 problem."""
    schemas = made[0]["components"]["schemas"]
    for name in ("DesignProblems", "Preview"):
        listed = schemas[name]["properties"]["problems"]["items"]["$ref"].rsplit("/", 1)[1]
        assert set(schemas[listed]["properties"]) == {"pointer", "code", "message"}
    assert "request_id" in schemas["Problem"]["properties"]


def test_schedules_and_calls_have_their_fields(made: tuple[dict[str, Any], str]) -> None:
    schemas = made[0]["components"]["schemas"]
    assert "cron_expression" in schemas["ScheduleRequest"]["properties"]
    assert "next_run_at" not in schemas["ScheduleRequest"]["properties"]
    assert "next_run_at" in schemas["Schedule"]["properties"]
    assert {"from", "count", "cron_expression", "day_match"} < set(schemas["PreviewRequestRequest"]["properties"])
    assert set(schemas["Preview"]["properties"]) == {"runs", "words", "problems"}
    assert list(schemas["RerunRequestRequest"]["properties"]) == ["from", "input_data"]
    assert schemas["RerunRequestRequest"]["required"] == ["from"]
    rerun = made[0]["paths"]["/api/executions/{id}/rerun"]["post"]["responses"]
    assert {"201", "409", "422", "429"} <= set(rerun)
    responses = made[0]["paths"]["/api/deployed/{endpoint_path}"]["post"]["responses"]
    assert {
        "200",
        "202",
        "400",
        "401",
        "403",
        "404",
        "409",
        "413",
        "415",
        "422",
        "429",
        "500",
        "502",
        "503",
        "504",
    } <= set(responses)
    assert "application/problem+json" in responses["502"]["content"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/deployed/{endpoint_path}",
        "/api/deployments/{id}/execute",
        "/api/deployments/{id}/schedule/run",
        "/api/executions/{id}/rerun",
        "/api/designs/{design_id}/execute",
    ],
)
def test_whatever_a_limit_may_refuse_says_so_and_when_to_try_again(made: tuple[dict[str, Any], str], path: str) -> None:
    refusal = made[0]["paths"][path]["post"]["responses"]["429"]
    for code in ("concurrency-limit", "rate-limit", "daily-quota", "daily-budget"):
        assert code in refusal["description"]
    assert refusal["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert refusal["headers"]["Retry-After"]["schema"] == {"type": "integer"}


@pytest.mark.parametrize("accepted", ["application/json", "application/vnd.oai.openapi"])
def test_whoever_asks_for_it_again_and_again_keeps_nobody_busy(
    accepted: str, made: tuple[dict[str, Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    first = client.get("/api/schema", headers={"Accept": accepted})
    assert (first.status_code, first["Content-Type"].split(";")[0]) == (200, accepted)
    if accepted == "application/json":
        assert first.json() == json.loads(json.dumps(made[0], default=str))
    monkeypatch.setattr(SchemaGenerator, "get_schema", None)
    for query in ("", "?version=7", "?version=%0A", "?anything=else"):
        again = client.get(f"/api/schema{query}", headers={"Accept": accepted})
        assert (again.status_code, again.content) == (200, first.content)
