"""Limits over REST: set, refused, answered with 429, and what a day has used."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from access.models import Team
from deployments.days import day_of, start_of
from deployments.keys import Scope, make_key
from deployments.limits import KeyLimits
from deployments.models import ApiKey, DailyUse, Deployment, ExecutionLog, ScheduleConfig
from deployments.tests.builders import make_deployment, make_ended, make_schedule

pytestmark = pytest.mark.django_db(transaction=True)

EVERYTHING: tuple[Scope, ...] = ("read", "execute", "manage")
KEY_LIMITS = {
    "rate_count": 5,
    "rate_seconds": 60,
    "daily_max_tokens": 10_000,
    "daily_max_cost_usd": "0.25",
    "max_concurrent": 3,
    "daily_max_executions": 100,
}


def client_with(**limits: Any) -> APIClient:
    _, plaintext = make_key(name="crm", team_id=Team.default().pk, scopes=EVERYTHING, limits=KeyLimits(**limits))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plaintext}")
    return client


def problem(answer: Any, status: int, slug: str) -> Any:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["type"] == f"/problems/{slug}"
    return answer.json()


class TestKeys:
    def test_a_key_is_made_with_its_limits_and_shows_them(self) -> None:
        client = client_with()
        made = client.post("/api/keys", {"name": "crm", "limits": KEY_LIMITS}, format="json")
        assert made.status_code == 201, made.content
        assert made.json()["limits"] == KEY_LIMITS
        assert client.get(f"/api/keys/{made.json()['id']}").json()["limits"] == KEY_LIMITS

    def test_without_limits_it_has_none(self) -> None:
        made = client_with().post("/api/keys", {"name": "crm"}, format="json").json()
        assert made["limits"] == dict.fromkeys(KEY_LIMITS)

    @pytest.mark.parametrize(
        ("limits", "pointer"),
        [
            ({"rate_count": 5}, "/limits/rate_seconds"),
            ({"rate_seconds": 5}, "/limits/rate_count"),
            ({"max_concurrent": 0}, "/limits/max_concurrent"),
            ({"daily_max_cost_usd": "-1"}, "/limits/daily_max_cost_usd"),
            ({"when_full": "queue"}, "/limits/when_full"),
        ],
    )
    def test_limits_that_are_none_are_a_422_and_make_no_key(self, limits: dict[str, Any], pointer: str) -> None:
        client = client_with()
        answer = client.post("/api/keys", {"name": "crm", "limits": limits}, format="json")
        assert [error["pointer"] for error in problem(answer, 422, "validation-failed")["errors"]] == [pointer]
        assert ApiKey.objects.count() == 1

    def test_a_key_with_limits_makes_no_key_that_would_not_share_them(self) -> None:
        answer = client_with(rate_count=5, rate_seconds=60).post("/api/keys", {"name": "crm"}, format="json")
        assert "limits" in problem(answer, 403, "forbidden")["detail"]
        assert ApiKey.objects.count() == 1

    def test_a_key_with_limits_sets_no_schedule_whose_runs_would_not_share_them(self) -> None:
        deployment = make_deployment()
        client, every_second = client_with(daily_max_executions=1), {"interval_seconds": 1}
        path = f"/api/deployments/{deployment.id}"
        for answer in (
            client.patch(path, {"schedule": every_second}, format="json"),
            client.put(path, {"schedule": every_second}, format="json"),
            client.post(
                "/api/deployments",
                {"design_id": str(deployment.design_id), "endpoint_path": "other", "schedule": every_second},
                format="json",
            ),
        ):
            assert "limits" in problem(answer, 403, "forbidden")["detail"]
        assert not ScheduleConfig.objects.exists()
        make_schedule(deployment, interval_seconds=3600)
        assert client.patch(path, {"limits": {"max_calls": 5}}, format="json").status_code == 200
        assert client.patch(path, {"schedule": None}, format="json").status_code == 200  # a key may end what runs
        assert client_with().patch(path, {"schedule": every_second}, format="json").status_code == 200


class TestRefusals:
    """Every way to ask for an execution comes by the same limits."""

    ADDRESSES = (
        "/api/deployed/greet",
        "/api/deployments/{deployment}/execute",
        "/api/deployments/{deployment}/schedule/run",
        "/api/executions/{execution}/rerun",
        "/api/designs/{design}/execute",
    )

    @pytest.mark.parametrize("address", ADDRESSES)
    def test_a_key_whose_calls_are_used_up(self, address: str) -> None:
        deployment = make_deployment()
        make_schedule(deployment, interval_seconds=3600)
        ended = make_ended(deployment, at=timezone.now(), seq=1)
        client = client_with(rate_count=1, rate_seconds=3600)
        path = address.format(deployment=deployment.id, execution=ended.id, design=deployment.design_id)
        body = {"from": "start"} if path.endswith("rerun") else {}
        first = client.post(path, body, format="json", HTTP_PREFER="respond-async")
        assert first.status_code in {201, 202}, first.content
        refused = client.post(path, body, format="json", HTTP_PREFER="respond-async")
        detail = problem(refused, 429, "rate-limit")["detail"]
        assert "This API key takes 1 call in 3600 seconds" in detail
        assert "Retry-After" in detail
        assert 3590 < int(refused["Retry-After"]) <= 3600
        assert ExecutionLog.objects.count() == 2

    @pytest.mark.parametrize("address", ADDRESSES[:4])
    def test_a_deployment_whose_calls_are_used_up(self, address: str) -> None:
        deployment = make_deployment(rate_count=1, rate_seconds=3600)
        make_schedule(deployment, interval_seconds=3600)
        ended = make_ended(deployment, at=timezone.now(), seq=1)
        client = client_with()
        path = address.format(deployment=deployment.id, execution=ended.id)
        body = {"from": "start"} if path.endswith("rerun") else {}
        assert client.post(path, body, format="json", HTTP_PREFER="respond-async").status_code in {201, 202}
        problem(client.post(path, body, format="json", HTTP_PREFER="respond-async"), 429, "rate-limit")

    def test_input_that_does_not_fit_is_told_first_and_counts_nothing(self) -> None:
        deployment = make_deployment(rate_count=1, rate_seconds=3600)
        client = client_with()
        for _ in range(2):
            problem(client.post(deployment.endpoint_path, [], format="json"), 422, "validation-failed")
        assert client.post(deployment.endpoint_path, {}, format="json", HTTP_PREFER="respond-async").status_code == 202
        problem(client.post(deployment.endpoint_path, [], format="json"), 422, "validation-failed")
        problem(client.post(deployment.endpoint_path, {}, format="json"), 429, "rate-limit")

    def test_a_quota_opens_again_at_midnight(self) -> None:
        client, deployment = client_with(daily_max_executions=1), make_deployment()
        client.post(deployment.endpoint_path, {}, format="json", HTTP_PREFER="respond-async")
        refused = client.post(deployment.endpoint_path, {}, format="json", HTTP_PREFER="respond-async")
        problem(refused, 429, "daily-quota")
        midnight = start_of(day_of(timezone.now()) + timedelta(days=1))
        assert abs((midnight - timezone.now()).total_seconds() - int(refused["Retry-After"])) < 5

    def test_a_failure_for_the_days_budget_is_a_429_that_says_when(self) -> None:
        """A repeated request is answered with what became of the first."""
        deployment, client = make_deployment(), client_with()
        once = {"Idempotency-Key": "once", "Prefer": "respond-async"}
        assert client.post(deployment.endpoint_path, {}, format="json", headers=once).status_code == 202
        ExecutionLog.objects.update(
            status="failed", error_code="daily_budget_exceeded", error="Used up.", completed_at=timezone.now()
        )
        refused = client.post(deployment.endpoint_path, {}, format="json", headers=once)
        body = problem(refused, 429, "daily-budget")
        assert body["execution_id"] == str(ExecutionLog.objects.get().id)
        assert 0 < int(refused["Retry-After"]) <= 86_400


class TestHeaders:
    """`RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers has them."""

    def call(self, client: APIClient, deployment: Deployment, **headers: str) -> Any:
        return client.post(deployment.endpoint_path, {}, format="json", headers={"Prefer": "respond-async", **headers})

    def test_an_answer_says_which_quotas_there_are_and_what_is_left(self) -> None:
        deployment = make_deployment(rate_count=5, rate_seconds=600)
        client = client_with(rate_count=3, rate_seconds=60, daily_max_executions=9)
        for number in (1, 2):
            answer = self.call(client, deployment)
            assert answer.status_code == 202
            assert answer["RateLimit-Policy"] == (
                '"deployment-rate";q=5;w=600, "key-rate";q=3;w=60, "key-day";q=9;w=86400'
            )
            items = dict(re.findall(r'"([a-z-]+)";r=(\d+);t=\d+', answer["RateLimit"]))
            assert items == {
                "deployment-rate": str(5 - number),
                "key-rate": str(3 - number),
                "key-day": str(9 - number),
            }
        windows = [int(seconds) for seconds in re.findall(r"t=(\d+)", answer["RateLimit"])]
        assert 590 <= windows[0] <= 600
        assert 50 <= windows[1] <= 60
        midnight = start_of(day_of(timezone.now()) + timedelta(days=1))
        assert abs((midnight - timezone.now()).total_seconds() - windows[2]) < 5

    def test_a_refusal_says_which_quota_is_used_up_and_until_when(self) -> None:
        deployment, client = make_deployment(rate_count=5, rate_seconds=600), client_with(rate_count=1, rate_seconds=60)
        self.call(client, deployment)
        refused = self.call(client, deployment)
        problem(refused, 429, "rate-limit")
        assert refused["RateLimit-Policy"] == '"deployment-rate";q=5;w=600, "key-rate";q=1;w=60'
        assert refused["RateLimit"] == f'"key-rate";r=0;t={refused["Retry-After"]}'

    def test_executions_at_once_are_no_quota(self) -> None:
        deployment = make_deployment(rate_count=5, rate_seconds=600, max_concurrent=1, when_full="reject")
        client = client_with()
        self.call(client, deployment)
        refused = self.call(client, deployment)
        problem(refused, 429, "concurrency-limit")
        assert refused["RateLimit-Policy"] == '"deployment-rate";q=5;w=600'
        assert "RateLimit" not in refused

    def test_without_a_limit_and_for_a_repeat_there_are_none(self) -> None:
        free, limited, client = (
            make_deployment("free"),
            make_deployment("two", rate_count=5, rate_seconds=600),
            client_with(),
        )
        first = self.call(client, limited, **{"Idempotency-Key": "once"})
        assert "RateLimit" in first
        for answer in (self.call(client, free), self.call(client, limited, **{"Idempotency-Key": "once"})):
            assert answer.status_code == 202
            assert "RateLimit" not in answer
            assert "RateLimit-Policy" not in answer

    def test_a_stream_of_events_bears_them_too(self) -> None:
        deployment = make_deployment(rate_count=5, rate_seconds=600)
        answer = self.call(client_with(), deployment, Accept="text/event-stream")
        assert answer["Content-Type"] == "text/event-stream"
        assert answer["RateLimit"].startswith('"deployment-rate";r=4;t=')

    def test_the_endpoints_own_document_names_them(self) -> None:
        deployment = make_deployment()
        document = client_with().get(f"{deployment.endpoint_path}/openapi.json").json()
        answers = document["paths"][deployment.endpoint_path]["post"]["responses"]
        for status in ("200", "202", "429"):
            assert {"RateLimit", "RateLimit-Policy"} <= set(answers[status]["headers"])


class TestDailyUse:
    def test_a_deployments_use_is_that_of_today(self) -> None:
        deployment = make_deployment(daily_max_tokens=1_000, daily_max_cost_usd="2")
        today = day_of(timezone.now())
        DailyUse.objects.create(owner_id=deployment.id, day=today, tokens=250, nano_usd=1_500_000_000)
        DailyUse.objects.create(owner_id=deployment.id, day=today - timedelta(days=1), tokens=999)
        shown = client_with().get(f"/api/deployments/{deployment.id}/daily-use").json()
        assert shown | {"opens_again_at": None} == {
            "day": today.isoformat(),
            "opens_again_at": None,
            "tokens": 250,
            "cost_usd": "1.5",
            "executions": None,
        }
        assert datetime.fromisoformat(shown["opens_again_at"]) == start_of(today + timedelta(days=1))

    def test_a_keys_use_is_its_own(self) -> None:
        client = client_with(daily_max_executions=5)
        client.post(make_deployment().endpoint_path, {}, format="json", HTTP_PREFER="respond-async")
        shown = client.get(f"/api/keys/{ApiKey.objects.get().id}/daily-use").json()
        assert (shown["executions"], shown["tokens"], shown["cost_usd"]) == (1, None, None)

    def test_budgets_are_set_like_other_limits(self) -> None:
        deployment, client = make_deployment(), client_with()
        limits = {"daily_max_tokens": 1_000, "daily_max_cost_usd": "0.5"}
        changed = client.put(f"/api/deployments/{deployment.id}", {"limits": limits}, format="json")
        assert changed.json()["limits"] | limits == changed.json()["limits"]
        assert Deployment.objects.get().has_daily_budget
