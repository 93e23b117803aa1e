"""Retention where people meet it: over REST, in Configure, on the page of an execution, in the admin."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from access.models import AuditRecord
from deployments.models import Deployment, ExecutionLog
from deployments.retention.sweep import RetentionSweep
from deployments.tests.builders import make_deployment
from deployments.tests.pages.conftest import sign_in  # noqa: F401 - a fixture
from deployments.tests.test_history_retention import ended
from deployments.tests.test_limits_api import client_with, problem

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.either_database]

NONE_SET = {
    "keep_payload_days": None,
    "keep_payload_last": None,
    "keep_history_days": None,
    "keep_history_last": None,
}


@pytest.fixture
def deployment(db: None) -> Deployment:
    deployment = make_deployment("kept")
    for days in (40, 20, 1):
        ended(deployment, days)
    return deployment


@pytest.fixture
def client(db: None) -> APIClient:
    return client_with()


def change(client: APIClient, deployment: Deployment, method: str = "patch", **retention: Any) -> Any:
    send = getattr(client, method)
    return send(f"/api/deployments/{deployment.id}", {"retention": retention}, format="json")


def test_put_replaces_all_periods_and_patch_those_that_are_given(client: APIClient, deployment: Deployment) -> None:
    assert client.get(f"/api/deployments/{deployment.id}").json()["retention"] == NONE_SET
    changed = change(client, deployment, "put", keep_payload_days=30, keep_history_last=0)
    assert changed.json()["retention"] == {**NONE_SET, "keep_payload_days": 30, "keep_history_last": 0}
    changed = change(client, deployment, keep_history_days=90)
    assert changed.json()["retention"] == {
        **NONE_SET,
        "keep_payload_days": 30,
        "keep_history_days": 90,
        "keep_history_last": 0,
    }
    changed = change(client, deployment, "put", keep_history_days=5)
    assert changed.json()["retention"] == {**NONE_SET, "keep_history_days": 5}
    assert changed["ETag"] == '"4"'
    told = AuditRecord.objects.filter(action="deployment.changed").order_by("id").last()
    assert told is not None
    assert told.details["retention"]["keep_history_days"] == 5


@pytest.mark.parametrize("wrong", [-1, 36_501, "soon", 1.5])
def test_a_period_that_is_none_is_refused_and_changes_nothing(
    client: APIClient, deployment: Deployment, wrong: object
) -> None:
    body = problem(change(client, deployment, keep_payload_days=wrong), 422, "validation-failed")
    assert body["errors"][0]["pointer"] == "/retention/keep_payload_days"
    assert Deployment.objects.get(id=deployment.id).revision == 1


def test_what_other_periods_would_remove_is_counted_before_they_are_saved(
    client: APIClient, deployment: Deployment
) -> None:
    url = f"/api/deployments/{deployment.id}/retention"
    assert client.get(url).json()["would_go"] == {"executions": 0, "payloads": 0, "is_at_least": False}
    change(client, deployment, keep_history_days=90)
    shown = client.get(url, {"keep_payload_days": "10", "keep_history_days": "30"}).json()
    assert shown["would_go"] == {"executions": 1, "payloads": 1, "is_at_least": False}
    assert shown["in_force"] == {**NONE_SET, "keep_payload_days": 10, "keep_history_days": 30}
    kept = client.get(url, {"keep_payload_days": "10"}).json()
    assert kept["retention"] == {**NONE_SET, "keep_payload_days": 10, "keep_history_days": 90}
    assert kept["would_go"]["payloads"] == 2
    problem(client.get(url, {"keep_payload_days": "soon"}), 422, "validation-failed")
    problem(client.get(url, {"days": "3"}), 422, "validation-failed")
    assert Deployment.objects.get(id=deployment.id).keep_history_days == 90
    assert ExecutionLog.objects.count() == 3


def test_what_has_lost_its_payload_says_so_and_its_rerun_says_what_to_send(
    client: APIClient, deployment: Deployment
) -> None:
    change(client, deployment, keep_payload_days=30)
    RetentionSweep().run(seconds=60)
    gone = ExecutionLog.objects.get(created_at__lt=timezone.now() - timedelta(days=30))
    shown = client.get(f"/api/executions/{gone.id}").json()
    assert shown["payload_removed_at"] is not None
    assert (shown["input_data"], shown["result_data"], shown["events"]) == ({}, None, [])
    assert shown["cost"] == "0.5"
    url = f"/api/executions/{gone.id}/rerun"
    refused = problem(client.post(url, {"from": "start"}, format="json"), 409, "input-gone")
    assert "removed by retention on" in refused["detail"]
    problem(client.post(url, {"from": "failed"}, format="json"), 409, "results-gone")


def test_pages_say_what_would_go_and_what_is_gone(sign_in: Any, deployment: Deployment) -> None:  # noqa: F811
    person: Client = sign_in(rights=("view_objects", "change_objects", "execute_deployments"))
    dialog = person.get(f"/deployments/{deployment.id}/configure?tab=retention", headers={"HX-Request": "true"})
    assert 'name="keep_payload_days"' in dialog.content.decode()
    preview = f"/deployments/{deployment.id}/retention?keep_payload_days=10&keep_history_days=30&keep_history_last="
    shown = person.get(preview, headers={"HX-Request": "true"}).content.decode()
    assert "Payloads are kept for 10 days; executions for 30 days." in shown
    assert "this would go: 1 execution whole, and input, result and events of 1 others." in shown
    wrong = person.get(f"/deployments/{deployment.id}/retention?keep_payload_days=x", headers={"HX-Request": "true"})
    assert "A period is a whole number" in wrong.content.decode()
    Deployment.objects.update(keep_payload_days=30)
    RetentionSweep().run(seconds=60)
    gone = ExecutionLog.objects.get(payload_removed_at__isnull=False)
    page = person.get(f"/executions/{gone.id}").content.decode()
    assert f"were removed by retention on {timezone.now():%Y-%m-%d}, after 30 days." in page
    assert "Nothing has run yet" not in page
    execute = person.get(f"/deployments/{deployment.id}/execute", headers={"HX-Request": "true"})
    assert execute.content.decode().count("Execution of") == 1  # and not what is gone as an empty one
    assert '<option value="start">' in page
    assert '<option value="failed">' not in page


def test_the_admin_shows_the_periods_and_what_is_gone(deployment: Deployment, client: APIClient) -> None:
    change(client, deployment, keep_payload_days=30)
    RetentionSweep().run(seconds=60)
    staff = Client()
    staff.force_login(User.objects.create_superuser("root"))
    page = staff.get(f"/admin/deployments/deployment/{deployment.id}/change/").content.decode()
    assert "field-keep_payload_days" in page
    gone = ExecutionLog.objects.get(payload_removed_at__isnull=False)
    assert "after 30 days" in staff.get(f"/admin/deployments/executionlog/{gone.id}/change/").content.decode()
