"""Alerts over REST: added with a secret that is shown once, changed, tested, sent again; and a worker sends them."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core import mail
from django.db.models import TextField
from django.db.models.functions import Cast, Concat
from django.utils import timezone
from rest_framework.test import APIClient

from access.models import AuditRecord, Team
from access.principal import Verb
from deployments.alerts.deliveries import PER_TARGET
from deployments.alerts.outbox import write_test
from deployments.alerts.signing import sign_webhook
from deployments.alerts.targets import MAX_TARGETS, TESTS_OF_TARGET, TESTS_OF_TEAM, TRIES_OF_DELIVERY
from deployments.executions.start import start_execution
from deployments.executions.worker import Worker
from deployments.keys import Scope, make_key
from deployments.models import AlertDelivery, AlertTarget, AlertTry, Deployment
from deployments.tests.builders import make_alert, make_deployment, make_version, one_agent_document
from deployments.tests.receivers import Receiver, run_receiver
from designs.tests.builders import make_person
from executor.json_types import JsonObject
from orchestration_site.proving.mock_provider import MockProvider

HOOK = {"kind": "webhook", "url": "https://example.com/hook?token=1", "events": ["execution.failed"]}
MAIL = {"kind": "email", "addresses": ["ops@example.com"], "events": ["execution.failed"]}


def client_of(*scopes: Scope, deployments: list[Deployment] | None = None) -> APIClient:
    _, plaintext = make_key(
        name="crm", team_id=Team.default().pk, scopes=scopes or ("read", "manage"), deployments=deployments
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plaintext}")
    return client


def signed_in_with(*verbs: Verb) -> APIClient:
    client = APIClient()
    client.force_login(make_person("changer", *verbs))
    return client


def operator_sets(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update=changes))


def until(holds: Callable[[], Any]) -> Any:
    ends = time.monotonic() + 30
    while not (found := holds()):
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.02)
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.either_database
class TestTargets:
    @pytest.fixture
    def deployment(self) -> Deployment:
        return make_deployment()

    @pytest.fixture
    def address(self, deployment: Deployment) -> str:
        return f"/api/deployments/{deployment.id}/alerts"

    def test_a_webhooks_secret_is_shown_once_and_encrypted_with_its_url(self, address: str) -> None:
        client = client_of()
        made = client.post(address, HOOK, format="json")
        assert made.status_code == 201, made.content
        assert made["Cache-Control"] == "no-store"
        secret = made.json()["secret"]
        assert secret.startswith("whsec_")
        assert client.get(made["Location"]).json() == {k: v for k, v in made.json().items() if k != "secret"}
        assert [each["url"] for each in client.get(address).json()] == [HOOK["url"]]
        assert secret not in client.get(address).content.decode()
        raw = Concat(Cast("secret", TextField()), Cast("url", TextField()))
        stored = AlertTarget.objects.values_list(raw, flat=True).get()
        assert secret not in stored
        assert "example.com" not in stored

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"url": "http://example.com/"}, "/url"),
            ({"url": "https://127.0.0.1/"}, "/url"),
            ({"url": "https://169.254.169.254/"}, "/url"),
            ({"url": "https://localhost/"}, "/url"),
            ({"url": "https://user:password@example.com/"}, "/url"),
            ({"url": "file:///etc/passwd"}, "/url"),
            ({"url": "https://example.com/#x"}, "/url"),
            ({"url": ""}, "/url"),
            ({"url": None}, "/url"),
            ({"events": []}, "/events"),
            ({"events": ["execution.started"]}, "/events/0"),
            ({"addresses": ["a@example.com"]}, "/addresses"),
            ({"throttle_minutes": 5}, "/throttle_minutes"),
            ({"secret": "whsec_mine"}, "/secret"),
        ],
    )
    def test_what_cannot_be_is_refused_where_it_stands(
        self, address: str, changes: dict[str, Any], pointer: str
    ) -> None:
        answer = client_of().post(address, HOOK | changes, format="json")
        assert answer.status_code == 422, answer.content
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
        assert not AlertTarget.objects.exists()

    def test_without_a_url_it_is_refused(self, address: str) -> None:
        answer = client_of().post(address, {k: v for k, v in HOOK.items() if k != "url"}, format="json")
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/url"]

    def test_e_mail_needs_a_mail_server(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        refused = client_of().post(address, MAIL, format="json")
        assert refused.status_code == 422
        assert "EMAIL_URL" in refused.json()["errors"][0]["message"]
        operator_sets(monkeypatch, email_url="smtp://localhost")
        made = client_of().post(address, MAIL, format="json")
        assert made.status_code == 201, made.content
        assert (made.json()["secret"], made.json()["throttle_minutes"]) == ("", 10)
        injected = MAIL | {"addresses": ["ops@example.com\nBcc: all@example.com"]}
        assert client_of().post(address, injected, format="json").status_code == 422

    def test_there_are_so_many_at_most(self, deployment: Deployment, address: str) -> None:
        for _ in range(MAX_TARGETS):
            make_alert(deployment)
        refused = client_of().post(address, HOOK, format="json")
        assert refused.status_code == 422
        assert AlertTarget.objects.count() == MAX_TARGETS

    def test_after_a_rotation_both_secrets_sign(self, deployment: Deployment, address: str) -> None:
        target = make_alert(deployment)
        before = target.secret
        answer = client_of().post(f"{address}/{target.id}/rotate-secret", {}, format="json")
        assert answer.status_code == 200, answer.content
        target.refresh_from_db()
        assert target.previous_secret_until is not None
        assert target.secrets_at(target.created_at) == [answer.json()["secret"], before]

    def test_switched_off_it_keeps_what_is_pending_and_on_again_it_is_due(
        self, deployment: Deployment, address: str
    ) -> None:
        target, client = make_alert(deployment, off_reason="410", failing_since=deployment.created_at), client_of()
        delivery = write_test(target)
        off = client.patch(f"{address}/{target.id}", {"enabled": False}, format="json")
        assert off.json()["enabled"] is False
        delivery.refresh_from_db()
        assert (delivery.status, delivery.next_try_at) == ("pending", None)
        assert client.post(f"{address}/{target.id}/test", {}, format="json").status_code == 409
        resend = f"{address}/{target.id}/deliveries/{delivery.id}/resend"
        assert client.post(resend, {}, format="json").json()["type"] == "/problems/alert-is-off"
        on = client.patch(f"{address}/{target.id}", {"enabled": True}, format="json").json()
        assert (on["enabled"], on["off_reason"], on["failing_since"]) == (True, "", None)
        delivery.refresh_from_db()
        assert delivery.next_try_at is not None

    def test_removed_it_forgets_its_address_and_is_gone(self, deployment: Deployment, address: str) -> None:
        target, client = make_alert(deployment), client_of()
        write_test(target)
        assert client.delete(f"{address}/{target.id}").status_code == 204
        assert client.get(address).json() == []
        assert client.get(f"{address}/{target.id}/deliveries").status_code == 404
        target.refresh_from_db()
        assert (target.url, target.secret) == ("", "")

    def test_another_deployments_alert_is_not_there(self, deployment: Deployment, address: str) -> None:
        other = make_deployment("other")
        theirs = make_alert(other)
        delivery = write_test(theirs)
        client = client_of(deployments=None)
        assert client.get(f"{address}/{theirs.id}").status_code == 404
        assert client.get(f"{address}/{make_alert(deployment).id}/deliveries/{delivery.id}").status_code == 404
        narrow = client_of("read", "manage", deployments=[deployment])
        assert narrow.get(f"/api/deployments/{other.id}/alerts/{theirs.id}").status_code == 404

    def test_every_change_and_resending_is_in_the_audit_and_no_address_is(self, address: str) -> None:
        client = client_of()
        made = client.post(address, HOOK, format="json").json()
        here = f"{address}/{made['id']}"
        delivery = client.post(f"{here}/test", {}, format="json").json()
        client.patch(here, {"url": "https://other.example.com/", "events": ["execution.cancelled"]}, format="json")
        client.patch(here, {"enabled": True}, format="json")
        client.post(f"{here}/rotate-secret", {}, format="json")
        client.post(f"{here}/deliveries/{delivery['id']}/resend", {}, format="json")
        client.delete(here)
        told = list(AuditRecord.objects.filter(object_type="alert").order_by("id"))
        changes = ["alert.changed", "alert.secret_rotated", "alert.resent", "alert.removed"]
        assert [each.action for each in told] == ["alert.added", "alert.tested", *changes]
        assert {(each.actor, each.object_id) for each in told} == {("key:crm", made["id"])}
        assert told[2].details == {"fields": ["events", "url"]}
        assert "example.com" not in json.dumps([each.details for each in told])

    def test_results_go_nowhere_else_and_are_not_shown_without_the_right_to_view(
        self, deployment: Deployment, address: str
    ) -> None:
        target = make_alert(deployment, includes_result=True)
        told: JsonObject = {"type": "x", "data": {"result": "for viewers", "result_left_out": False}}
        delivery = AlertDelivery.objects.create(
            target=target, event="x", payload=told, created_at=timezone.now(), next_try_at=None
        )
        changer, viewer = signed_in_with("change"), client_of()
        here, log = f"{address}/{target.id}", f"{address}/{target.id}/deliveries"
        for changes in ({"url": "https://example.org/"}, {"events": ["execution.completed"]}, {"enabled": True}):
            assert changer.patch(here, changes, format="json").status_code == 403
        assert changer.post(f"{log}/{delivery.id}/resend", {}, format="json").status_code == 403
        for answer in (changer.get(log), changer.get(f"{log}/{delivery.id}")):
            assert answer.status_code == 200
            assert "for viewers" not in answer.content.decode()
        assert "for viewers" in viewer.get(f"{log}/{delivery.id}").content.decode()
        assert changer.patch(here, {"enabled": False}, format="json").status_code == 200
        assert changer.patch(here, {"includes_result": False, "enabled": True}, format="json").status_code == 200
        assert changer.patch(here, {"events": ["execution.completed"]}, format="json").status_code == 200

    def test_tests_are_bounded_for_a_target_and_for_a_team(self, deployment: Deployment, address: str) -> None:
        client, targets = client_of(), [make_alert(deployment) for _ in range(TESTS_OF_TEAM // TESTS_OF_TARGET + 1)]
        for target in targets[:-1]:
            for _ in range(TESTS_OF_TARGET):
                assert client.post(f"{address}/{target.id}/test", {}, format="json").status_code == 202
            if target == targets[0]:  # the team has room for more
                assert client.post(f"{address}/{target.id}/test", {}, format="json").status_code == 429
        for target in (targets[0], targets[-1]):
            refused = client.post(f"{address}/{target.id}/test", {}, format="json")
            assert (refused.status_code, refused["Retry-After"]) == (429, "3600")
        AlertDelivery.objects.update(created_at=timezone.now() - timedelta(hours=2))
        assert client.post(f"{address}/{targets[0].id}/test", {}, format="json").status_code == 202

    def test_a_delivery_is_not_tried_without_end(self, deployment: Deployment, address: str) -> None:
        target = make_alert(deployment)
        delivery = write_test(target)
        for _ in range(TRIES_OF_DELIVERY):
            AlertTry.objects.create(delivery=delivery, at=timezone.now(), duration_ms=1)
        refused = client_of().post(f"{address}/{target.id}/deliveries/{delivery.id}/resend", {}, format="json")
        assert (refused.status_code, refused["Retry-After"]) == (429, "3600")

    def test_deliveries_are_listed_newest_first_by_pages_and_status(self, deployment: Deployment, address: str) -> None:
        target, client = make_alert(deployment), client_of()
        made = [str(write_test(target).id) for _ in range(3)]
        AlertDelivery.objects.filter(id=made[0]).update(status="failed", next_try_at=None)
        first = client.get(f"{address}/{target.id}/deliveries", {"limit": 2}).json()
        assert [each["id"] for each in first["results"]] == made[:0:-1]
        second = client.get(first["next"]).json()
        assert ([each["id"] for each in second["results"]], second["next"]) == (made[:1], None)
        failed = client.get(f"{address}/{target.id}/deliveries", {"status": "failed"}).json()["results"]
        assert [each["id"] for each in failed] == made[:1]
        assert client.get(f"{address}/{target.id}/deliveries", {"status": "lost"}).status_code == 422
        assert client.get(f"{address}/{target.id}/deliveries/{uuid4()}").status_code == 404


@pytest.mark.django_db(transaction=True)
class TestSending:
    """A worker, and a receiver over HTTP."""

    @pytest.fixture
    def receiver(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
        operator_sets(monkeypatch, private_hosts=["127.0.0.1"], email_url="smtp://localhost")
        with run_receiver() as running:
            yield running

    def test_a_failed_execution_is_told_signed_and_logged(
        self, worker: Worker, provider: MockProvider, receiver: Receiver
    ) -> None:
        deployment = make_deployment(version=make_version(one_agent_document(model="mock:status-400")))
        target = make_alert(deployment, url=receiver.url("/200"))
        started = start_execution(
            deployment=deployment,
            version=deployment.version,
            team_id=deployment.team_id,
            input_data={},
            trigger_type="api",
            triggered_by="key:test",
        )
        worker.run(started.execution.id, 0)
        got = receiver.wait()
        told = json.loads(got.body)
        assert told["type"] == "execution.failed"
        assert told["data"]["execution_id"] == str(started.execution.id)
        webhook_id, timestamp = got.headers["webhook-id"], int(got.headers["webhook-timestamp"])
        headers = sign_webhook(got.body, webhook_id=webhook_id, timestamp=timestamp, secrets_to_sign=[target.secret])
        assert got.headers["webhook-signature"] == headers["webhook-signature"]
        delivery = until(AlertDelivery.objects.filter(status="delivered").first)
        assert got.headers["webhook-id"] == str(delivery.id)
        assert AlertTry.objects.get().status_code == 200

    def test_what_failed_is_tried_again_with_the_same_id_and_can_be_sent_again(
        self, worker: Worker, receiver: Receiver
    ) -> None:
        deployment = make_deployment()
        target, client = make_alert(deployment, url=receiver.url("/200")), client_of()
        receiver.next_statuses.append(500)
        here = f"/api/deployments/{deployment.id}/alerts/{target.id}"
        delivery = client.post(f"{here}/test", {}, format="json").json()
        receiver.wait()
        until(lambda: AlertTry.objects.count() == 1)
        AlertDelivery.objects.update(next_try_at=delivery["created_at"])
        receiver.wait()
        shown = until(lambda: self.delivered(client, f"{here}/deliveries/{delivery['id']}"))
        assert [(each["status_code"], each["error"]) for each in shown["log"]] == [
            (500, "The receiver answered 500."),
            (200, ""),
        ]
        again = client.post(f"{here}/deliveries/{delivery['id']}/resend", {}, format="json")
        assert again.status_code == 202, again.content
        receiver.wait()
        assert {each.headers["webhook-id"] for each in receiver.received} == {delivery["id"]}

    def test_a_target_that_stalls_holds_up_no_other(self, worker: Worker, receiver: Receiver) -> None:
        slow, quick = make_alert(url=receiver.url("/stall")), make_alert(make_deployment("b"), url=receiver.url("/200"))
        for _ in range(20):
            write_test(slow)
        write_test(quick)
        worker.send_alerts()
        until(AlertDelivery.objects.filter(target=quick, status="delivered").exists)
        assert not AlertDelivery.objects.filter(target=slow).exclude(status="pending").exists()
        assert sum(each.path == "/stall" for each in receiver.received) <= PER_TARGET

    def test_an_e_mail_is_sent(self, worker: Worker, receiver: Receiver) -> None:
        target = make_alert(kind="email", addresses=["ops@example.com"], url="", secret="")
        write_test(target)
        worker.send_alerts()
        until(AlertDelivery.objects.filter(status="delivered").exists)
        assert [each.subject for each in mail.outbox] == ["Test: /api/deployed/greet"]

    @staticmethod
    def delivered(client: APIClient, address: str) -> Any:
        shown = client.get(address).json()
        return shown if shown["status"] == "delivered" else None

    def test_a_target_whose_key_is_lost_is_told_so_and_holds_up_no_other(
        self, worker: Worker, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lost = make_alert(url=receiver.url("/200"))
        write_test(lost)
        monkeypatch.setattr(settings, "ENCRYPTION_KEYS", [Fernet.generate_key().decode()])
        other = make_alert(make_deployment("other"), url=receiver.url("/200"))
        write_test(other)
        worker.send_alerts()
        until(AlertDelivery.objects.filter(target=other, status="delivered").exists)
        tried = until(AlertTry.objects.filter(delivery__target=lost).first)
        assert "ENCRYPTION_KEYS" in tried.error
        client, here = client_of(), f"/api/deployments/{lost.deployment_id}/alerts"
        assert [each["url"] for each in client.get(here).json()] == [""]
        assert client.post(f"{here}/{lost.id}/rotate-secret", {}, format="json").status_code == 200
        mended = client.patch(f"{here}/{lost.id}", {"url": receiver.url("/200")}, format="json")
        assert mended.json()["url"] == receiver.url("/200")
        until(AlertDelivery.objects.filter(target=lost, status="delivered").exists)
