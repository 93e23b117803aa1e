"""What is done to keys, designs, deployments, schedules and executions is in the audit; and who may read it there."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from access.models import AuditRecord, Team
from deployments.deploying import DeploymentChanges, EndpointTaken, deploy_design, undeploy, update_deployment
from deployments.executions.lifecycle import request_cancel
from deployments.keys import Scope, make_key, revoke_key
from deployments.limits import KeyLimits
from deployments.models import Deployment
from deployments.scheduling.changes import pause_schedule, resume_schedule
from deployments.scheduling.validation import ScheduleFields
from deployments.tests.builders import make_deployment, make_queued, make_schedule, make_version, one_agent_document
from designs.drafts import create_design, delete_design

pytestmark = pytest.mark.django_db

ALICE = "user:alice"


def told() -> list[tuple[str, str, str]]:
    return [(each.action, each.actor, each.object_label) for each in AuditRecord.objects.order_by("id")]


def details() -> dict[str, Any]:
    found: dict[str, Any] = AuditRecord.objects.latest("id").details
    return found


def ask(path: str, *scopes: Scope, deployments: list[Deployment] | None = None) -> Any:
    _, key = make_key(name="crm", team_id=Team.default().pk, scopes=scopes or ("manage",), deployments=deployments)
    return Client(headers={"authorization": f"Bearer {key}"}).get(path)


def test_a_deployment_from_its_design_to_its_end() -> None:
    design = create_design(document=one_agent_document(name="Greeter"), team_id=Team.default().pk, by=ALICE)
    deployment = deploy_design(design=design, endpoint_path="greet", by=ALICE)
    assert details() == {"design": "Greeter", "version": 1}
    schedule = ScheduleFields(interval_seconds=60, input_data={"secret": "payload"})
    changes = DeploymentChanges(status="inactive", limits={"max_calls": 5}, schedule=schedule, version=1)
    update_deployment(deployment_id=deployment.id, changes=changes, by=ALICE)
    assert (details()["status"], details()["limits"], details()["version"]) == ("inactive", {"max_calls": 5}, 1)
    assert details()["schedule"]["interval_seconds"] == 60
    assert "payload" not in str(details())
    undeploy(deployment_id=deployment.id, by=ALICE)
    delete_design(design=design, by=ALICE)
    assert told() == [
        ("design.created", ALICE, "Greeter"),
        ("version.made", ALICE, "Greeter"),
        ("deployment.deployed", ALICE, "/api/deployed/greet"),
        ("deployment.changed", ALICE, "/api/deployed/greet"),
        ("deployment.undeployed", ALICE, "/api/deployed/greet"),
        ("design.deleted", ALICE, "Greeter"),
    ]
    assert set(AuditRecord.objects.values_list("team_id", flat=True)) == {Team.default().pk}


def test_a_key_is_told_apart_by_its_prefix_and_its_secret_is_nowhere() -> None:
    deployment = make_deployment()
    key, plaintext = make_key(
        name="crm",
        team_id=Team.default().pk,
        scopes=["execute"],
        deployments=[deployment],
        created_by=ALICE,
        limits=KeyLimits(max_concurrent=3, daily_max_cost_usd=Decimal("0.25")),
    )
    assert details() == {
        "scopes": ["execute"],
        "expires_at": None,
        "limits": {"max_concurrent": 3, "daily_max_cost_usd": "0.25"},
        "deployments": ["/api/deployed/greet"],
    }
    revoke_key(key=key, by="user:bob")
    revoke_key(key=key, by="user:carol")
    assert told() == [("key.made", ALICE, f"crm ({key.prefix}…)"), ("key.revoked", "user:bob", f"crm ({key.prefix}…)")]
    assert plaintext.split("_", 2)[2] not in str(list(AuditRecord.objects.values()))


def test_a_design_that_is_taken_away_as_a_file() -> None:
    design = create_design(document=one_agent_document(name="Greeter"), team_id=Team.default().pk, by=ALICE)
    answer = ask(f"/api/designs/{design.id}/export", "read")
    assert (answer.json(), answer["Content-Disposition"]) == (design.draft, 'attachment; filename="design.json"')
    record = AuditRecord.objects.latest("id")
    assert (record.action, record.actor, record.object_id) == ("design.exported", "key:crm", str(design.id))
    before = AuditRecord.objects.count()
    assert ask(f"/api/designs/{design.id}", "read").status_code == 200
    assert AuditRecord.objects.count() == before + 1, "its key alone: to look at it is no export"


def test_pausing_and_resuming_a_schedule_that_was_not_so_already() -> None:
    schedule = make_schedule(make_deployment(), interval_seconds=60)
    for _ in range(2):
        pause_schedule(schedule=schedule, by=ALICE, reason="holiday")
    assert details() == {"reason": "holiday"}
    for _ in range(2):
        resume_schedule(schedule=schedule, by=ALICE, catch_up="latest")
    assert [(action, by) for action, by, _ in told()] == [("schedule.paused", ALICE), ("schedule.resumed", ALICE)]


def test_cancelling_an_execution_that_has_not_ended() -> None:
    execution = make_queued()
    assert [request_cancel(execution_id=execution.id, by=ALICE) for _ in range(2)] == ["cancelled", "ended"]
    assert [(action, by) for action, by, _ in told()] == [("execution.cancelled", ALICE)]
    assert AuditRecord.objects.get().object_id == str(execution.id)


def test_what_did_not_happen_is_not_recorded() -> None:
    deployment = make_deployment("taken")
    version = make_version()
    AuditRecord._base_manager.get_queryset()._raw_delete("default")
    with pytest.raises(EndpointTaken):
        deploy_design(design=version.design, endpoint_path="taken", by=ALICE)

    def fail_afterwards() -> None:
        with transaction.atomic():
            update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(status="inactive"), by=ALICE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_afterwards()
    assert told() == []


def test_provider_accounts_are_told_by_their_fields_and_never_by_their_keys() -> None:
    _, key = make_key(name="crm", team_id=Team.default().pk, scopes=["manage"])
    client = Client(headers={"authorization": f"Bearer {key}"})
    body = {"name": "acme", "kind": "openai", "api_key": "sk-canary"}
    made = client.post("/api/providers", body, content_type="application/json")
    path = f"/api/providers/{made.json()['id']}"
    client.patch(path, {"api_key": "sk-other-canary"}, content_type="application/json")
    client.delete(path)
    assert told()[1:] == [
        ("provider.added", "key:crm", "acme"),
        ("provider.changed", "key:crm", "acme"),
        ("provider.removed", "key:crm", "acme"),
    ]
    assert "canary" not in str(list(AuditRecord.objects.values()))
    changed = AuditRecord.objects.get(action="provider.changed")
    assert changed.details == {"fields": ["api_key"]}
    assert changed.key_id is not None


def test_it_is_read_over_rest_newest_first_by_filters_and_pages() -> None:
    deployment = make_deployment()
    for status in ("inactive", "active"):
        update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(status=status), by=ALICE)
    page = ask(f"/api/audit?object_type=deployment&object_id={deployment.id}&limit=1").json()
    assert [row["details"] for row in page["results"]] == [{"status": "active"}]
    rest = ask(page["next"].removeprefix("http://testserver")).json()
    assert [row["details"] for row in rest["results"]] == [{"status": "inactive"}]
    assert rest["next"] is None
    row = page["results"][0]
    assert ask(f"/api/audit/{row['id']}").json() == row
    assert ask("/api/audit?actor=user:bob").json()["results"] == []
    assert len(ask("/api/audit?action=deployment.changed&actor=user:alice").json()["results"]) == 2
    assert ask(f"/api/audit?until={row['created_at']}&action=deployment.changed").json()["results"] == rest["results"]
    assert ask("/api/audit?action=nonsense").status_code == 422
    assert ask("/api/audit/999999999999999999999").status_code == 404


def test_only_who_manages_keys_reads_what_was_done_in_their_team() -> None:
    other = Team.objects.create(name="other")
    deployment = make_deployment()
    create_design(document=one_agent_document(name="Hidden"), team_id=other.pk, by=ALICE)
    update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(status="inactive"), by=ALICE)
    hidden = AuditRecord.objects.get(object_label="Hidden")
    assert ask("/api/audit", "read", "execute").status_code == 403
    rows = ask("/api/audit").json()["results"]
    assert "deployment.changed" in [row["action"] for row in rows]
    assert "Hidden" not in str(rows)
    assert ask(f"/api/audit/{hidden.id}").status_code == 404
    scoped = ask("/api/audit", deployments=[deployment]).json()["results"]
    assert [row["action"] for row in scoped] == ["deployment.changed"]
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    everything = root.get("/api/audit").json()["results"]
    assert {"signed_in", "design.created", "deployment.changed"} <= {row["action"] for row in everything}


@pytest.mark.parametrize("send", [Client.post, Client.put, Client.patch, Client.delete])
def test_nobody_writes_it_over_rest(send: Callable[..., Any]) -> None:
    create_design(document=one_agent_document(), team_id=Team.default().pk, by=ALICE)
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    for path in ("/api/audit", f"/api/audit/{AuditRecord.objects.latest('id').id}"):
        assert send(root, path, {}, content_type="application/json").status_code == 405
