"""Alerts on their way: signed requests to a real receiver, whatever it answers; and e-mail."""

import asyncio
import base64
import json
import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core import mail
from django.utils import timezone

from deployments.alerts import webhook
from deployments.alerts.deliveries import Claim, Outcome
from deployments.alerts.mail import make_message, send_mail
from deployments.alerts.signing import make_secret, sign_webhook
from deployments.models import AlertDelivery, AlertTarget, Deployment
from deployments.tests.receivers import Receiver, run_receiver

PAYLOAD = {"type": "execution.failed", "timestamp": "2026-01-01T00:00:00Z", "data": {"error": "Zu spät.", "url": "/x"}}
#: A secret, and what Standard Webhooks' own libraries make of it (their documented example).
KNOWN_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KNOWN = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
KNOWN_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


def make_claim(url: str = "", *, kind: str = "webhook", count: int = 1, **fields: Any) -> Claim:
    deployment = Deployment(endpoint_path="/api/deployed/greet", design_name="Greeter")
    values = {"secret": make_secret(), "addresses": ["ops@example.com"], "throttle_minutes": 10} | fields
    target = AlertTarget(deployment=deployment, kind=kind, url=url, **values)
    delivery = AlertDelivery(id=uuid4(), target=target, event=str(PAYLOAD["type"]), payload=PAYLOAD)
    return Claim(delivery, target, 1, (delivery,) * min(count, 20), count)


def post(claim: Claim, *, private_hosts: Collection[str] = ("127.0.0.1",)) -> Outcome:
    async def once() -> Outcome:
        with pytest.MonkeyPatch.context() as patch:
            allowed = settings.ENVIRONMENT.model_copy(update={"private_hosts": list(private_hosts)})
            patch.setattr(settings, "ENVIRONMENT", allowed)
            async with webhook.open_session() as session:
                return await webhook.post_webhook(session, claim)

    return asyncio.run(once())


def signatures(headers: dict[str, str]) -> set[str]:
    return set(headers["webhook-signature"].split(" "))


class TestSigning:
    def test_a_signature_is_the_one_that_the_standards_libraries_make(self) -> None:
        webhook_id, timestamp, body = KNOWN
        headers = sign_webhook(body, webhook_id=webhook_id, timestamp=timestamp, secrets_to_sign=[KNOWN_SECRET])
        assert headers == {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": KNOWN_SIGNATURE,
        }

    def test_a_secret_has_256_bits_and_none_is_like_another(self) -> None:
        first, second = make_secret(), make_secret()
        assert first != second
        assert first.startswith("whsec_")
        assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32

    def test_both_secrets_sign_during_the_grace_and_the_new_one_alone_afterwards(self) -> None:
        now = timezone.now()
        target = AlertTarget(secret="new", previous_secret="old", previous_secret_until=now)
        assert target.secrets_at(now - timedelta(seconds=1)) == ["new", "old"]
        assert target.secrets_at(now) == ["new"]
        assert AlertTarget(secret="only").secrets_at(now) == ["only"]


class TestWebhook:
    def test_it_arrives_as_json_signed_by_every_secret_that_counts(self, receiver: Receiver) -> None:
        later = timezone.now() + timedelta(hours=1)
        claim = make_claim(receiver.url("/200?token=a%2Bb"), previous_secret=make_secret(), previous_secret_until=later)
        outcome = post(claim)
        assert (outcome.error, outcome.status_code) == ("", 200)
        got = receiver.received[-1]
        assert got.path == "/200?token=a%2Bb"
        assert json.loads(got.body) == PAYLOAD
        assert got.headers["content-type"] == "application/json"
        assert got.headers["webhook-id"] == str(claim.delivery.id)
        secrets = [claim.target.secret, claim.target.previous_secret]
        made = sign_webhook(
            got.body,
            webhook_id=got.headers["webhook-id"],
            timestamp=int(got.headers["webhook-timestamp"]),
            secrets_to_sign=secrets,
        )
        assert len(signatures(made)) == 2
        assert signatures(got.headers) == signatures(made)
        assert abs(int(got.headers["webhook-timestamp"]) - outcome.at.timestamp()) < 1

    @pytest.mark.parametrize(
        ("path", "error"),
        [
            ("/404", "The receiver answered 404."),
            ("/410", "The receiver answered 410."),
            ("/500", "The receiver answered 500."),
            ("/302", "redirect"),
            ("/garbage", "The request failed"),
        ],
    )
    def test_whatever_is_no_success_is_told_as_an_error(self, receiver: Receiver, path: str, error: str) -> None:
        before = len(receiver.received)
        outcome = post(make_claim(receiver.url(path)))
        assert error in outcome.error
        assert outcome.is_gone == (path == "/410")
        assert len(receiver.received) == before + 1, "a redirect is not followed"

    def test_of_the_answer_the_first_bytes_are_kept_and_can_be_stored(self, receiver: Receiver) -> None:
        outcome = post(make_claim(receiver.url("/500")))
        assert outcome.answer.startswith("said  by the receiver")
        assert len(outcome.answer) == webhook.ANSWER_BYTES - 1

    def test_a_receiver_that_stalls_is_left_after_a_while(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.2)
        outcome = post(make_claim(receiver.url("/stall")))
        assert (outcome.error, outcome.status_code) == ("No answer came within 0.2 seconds.", None)

    def test_a_body_without_end_is_not_waited_for(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhook, "ANSWER_SECONDS", 0.2)
        outcome = post(make_claim(receiver.url("/endless")))
        assert (outcome.error, outcome.status_code) == ("", 200)

    def test_a_receiver_may_say_when_to_come_again(self, receiver: Receiver) -> None:
        assert post(make_claim(receiver.url("/429"))).retry_after == timedelta(hours=2)

    @pytest.mark.parametrize("header", ["", "soon", "9" * 400, "Fri, 99 Nov 2026 00:00:00 GMT"])
    def test_and_is_not_understood_where_it_says_nothing_that_can_be(self, header: str) -> None:
        assert webhook._retry_after(header) is None

    def test_nothing_inside_the_network_is_reached(self, receiver: Receiver) -> None:
        """The same rules as for base URLs, when the connection is made: a name may lead elsewhere by then."""
        before = len(receiver.received)
        for host in ("127.0.0.1", "localhost"):
            outcome = post(make_claim(f"http://{host}:{receiver.port}/200"), private_hosts=())
            assert "was refused" in outcome.error
        assert len(receiver.received) == before

    @pytest.mark.parametrize(
        ("origin", "why"),
        [
            ("http://127.0.0.1:1", "No connection was made: Connection refused"),
            ("https://alerts.invalid", "could not be resolved"),
        ],
    )
    def test_nobody_there_is_an_error_that_says_why_and_not_the_whole_url(self, origin: str, why: str) -> None:
        outcome = post(make_claim(f"{origin}/hook?token=canary"))
        assert why in outcome.error
        assert "canary" not in outcome.error


class TestMail:
    def test_it_is_plain_text_to_the_addresses_with_an_id_that_stays(self) -> None:
        claim = make_claim(kind="email")
        outcome = send_mail(claim)
        assert outcome.error == ""
        (message,) = mail.outbox
        assert message.to == ["ops@example.com"]
        assert message.subject == "Execution failed: /api/deployed/greet"
        assert "Zu spät." in str(message.body)
        assert message.message()["Message-ID"] == f"<{claim.delivery.id}@localhost>"

    def test_several_are_one_that_lists_the_first_and_counts_the_rest(self) -> None:
        message = make_message(make_claim(kind="email", count=10_000))
        assert message.subject == "10000 alerts: /api/deployed/greet"
        assert str(message.body).count("Zu spät.") == 20
        assert "And 9980 more" in str(message.body)

    def test_nothing_that_users_wrote_makes_a_header(self) -> None:
        claim = make_claim(kind="email")
        claim.target.deployment.endpoint_path = "/api/deployed/x\r\nBcc: everybody@example.com"
        claim.target.deployment.design_name = "canary"
        raw = make_message(claim).message()
        assert raw["Bcc"] is None
        assert "canary" not in str(raw["Subject"])

    def test_a_mail_server_that_is_away_is_an_error(self, settings: Any) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 1, 1
        assert "could not be reached" in send_mail(make_claim(kind="email")).error


def test_the_documented_way_to_verify_takes_ours_and_refuses_others() -> None:
    """The snippet in docs/alerts.md, as it stands there."""
    text = Path(settings.BASE_DIR, "docs", "alerts.md").read_text()
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    module: dict[str, Any] = {}
    exec(compile(found[1], "docs/alerts.md", "exec"), module)  # noqa: S102 - our own documentation
    verify, secret, body = module["verify"], make_secret(), b'{"type":"execution.failed"}'
    now = int(timezone.now().timestamp())
    headers = sign_webhook(body, webhook_id="1", timestamp=now, secrets_to_sign=[make_secret(), secret])
    verify(secret, headers, body)
    stale = sign_webhook(body, webhook_id="1", timestamp=now - 3600, secrets_to_sign=[secret])
    for wrong_secret, wrong_headers, wrong_body in (
        (make_secret(), headers, body),
        (secret, headers | {"webhook-id": "2"}, body),
        (secret, headers, body + b" "),
        (secret, stale, body),
    ):
        with pytest.raises(ValueError, match="webhook"):
            verify(wrong_secret, wrong_headers, wrong_body)
