"""One try of an e-mail: plain text about one alert, or about all that came while the target was left in peace."""

import json
import smtplib
import time
from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone

from deployments.alerts.deliveries import Claim, Outcome
from deployments.models import AlertDelivery

MAX_RESULT_CHARACTERS: Final = 2_000
WORDS: Final = {
    "execution.failed": "Execution failed",
    "execution.completed": "Execution completed",
    "execution.cancelled": "Execution cancelled",
    "schedule.paused": "Schedule paused itself",
    "budget.exhausted": "Daily budget exhausted",
    "alert.test": "Test",
    "alert.switched_off": "Another alert was switched off",
}


def send_mail(claim: Claim) -> Outcome:
    """Send it once. Never raises: whatever goes wrong is the outcome. Blocks."""
    at, begun, error = timezone.now(), time.monotonic(), ""
    try:
        make_message(claim).send()
    except smtplib.SMTPException as refused:
        error = f"The mail server refused it: {refused}"[:1_000]
    except Exception as failure:  # noqa: BLE001 - sockets, TLS, names: whatever a mail server can be
        error = f"The mail server could not be reached: {failure}"[:1_000]
    return Outcome(at, round((time.monotonic() - begun) * 1000), error.replace("\x00", ""))


def make_message(claim: Claim) -> EmailMessage:
    """Its subject holds our own words and the endpoint's path, which has no room for anything else."""
    what = WORDS.get(claim.delivery.event, claim.delivery.event) if claim.count == 1 else f"{claim.count} alerts"
    sender = settings.ENVIRONMENT.email_from
    headers = {
        # The same with every try, so that mail programs can show one that came twice once.
        "Message-ID": f"<{claim.delivery.id}@{sender.rpartition('@')[2]}>",
        "Auto-Submitted": "auto-generated",
    }
    return EmailMessage(
        subject=" ".join(f"{what}: {claim.target.deployment.endpoint_path}".split()),
        body="\n\n".join([*(_told(each) for each in claim.listed), *_closing(claim)]) + "\n",
        from_email=sender,
        to=claim.target.addresses,
        headers=headers,
    )


def _closing(claim: Claim) -> Iterable[str]:
    if (more := claim.count - len(claim.listed)) > 0:
        yield f"And {more} more; the alert's log has them all."
    yield (
        f"You get this as an alert of {claim.target.deployment.endpoint_path}, not more often than every"
        f" {claim.target.throttle_minutes} minutes. It is set in the deployment's dialog Configure, under Alerts."
    )


def _told(delivery: AlertDelivery) -> str:
    data: dict[str, Any] = delivery.payload["data"]
    lines = [f"{WORDS.get(delivery.event, delivery.event)}, {delivery.payload['timestamp']}"]
    lines += [str(data[name]) for name in ("message", "reason") if data.get(name)]
    if data.get("error"):
        lines.append(f"{data['error_code']}: {data['error']}" if data.get("error_code") else data["error"])
    if data.get("cost"):
        lines.append(f"Cost: {data['cost']} USD")
    if data.get("result") is not None:
        lines.append(f"Result: {json.dumps(data['result'], ensure_ascii=False)[:MAX_RESULT_CHARACTERS]}")
    return "\n".join([*lines, data["url"]])
