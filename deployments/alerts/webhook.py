"""One try of a webhook: a signed POST over a connection that the rules on egress have checked.

The sender imports this with the first webhook: aiohttp is memory that a worker without alerts does not need.
"""

import asyncio
import json
import logging
import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from django.conf import settings
from django.utils import timezone

from deployments.alerts.deliveries import Claim, Outcome
from deployments.alerts.signing import sign_webhook
from executor.egress import EgressRefused, refused_redirect
from executor.egress_aiohttp import checked_session, parse_url

log = logging.getLogger(__name__)

#: Standard Webhooks proposes 15 to 30 seconds.
TIMEOUT_SECONDS: Final = 20.0
ANSWER_BYTES: Final = 1_000
#: Whether it was taken is known with the status; nobody waits long for the rest.
ANSWER_SECONDS: Final = 2.0


def open_session() -> aiohttp.ClientSession:
    """Connections for every target: nothing secret goes along but what is in each target's own address."""
    return checked_session(
        private_hosts=settings.ENVIRONMENT.private_hosts, headers={"User-Agent": "orchestration-alerts"}
    )


async def post_webhook(session: aiohttp.ClientSession, claim: Claim) -> Outcome:
    """Send it once. Never raises: whatever goes wrong is the outcome."""
    at, begun = timezone.now(), time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            status, answer, retry_after, error = await _post(session, claim, at)
    except TimeoutError:
        status, answer, retry_after, error = None, "", None, f"No answer came within {TIMEOUT_SECONDS:g} seconds."
    except aiohttp.ClientConnectorError as failure:
        status, answer, retry_after, error = None, "", None, f"No connection was made: {_words_of(failure)}"
    except (EgressRefused, OSError) as refused:
        status, answer, retry_after, error = None, "", None, str(refused)
    except Exception as failure:  # noqa: BLE001 - what a receiver can answer has no end
        # The words alone, as aiohttp's errors may quote the address, which may be secret.
        sentence = f"The request failed: {type(failure).__name__}."
        status, answer, retry_after, error = None, "", None, sentence
    duration_ms = round((time.monotonic() - begun) * 1000)
    return Outcome(at, duration_ms, error, status, answer, retry_after)


async def _post(session: aiohttp.ClientSession, claim: Claim, at: datetime) -> tuple[int, str, timedelta | None, str]:
    url = parse_url(claim.target.url)
    body = json.dumps(claim.delivery.payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = sign_webhook(
        body,
        webhook_id=str(claim.delivery.id),
        timestamp=int(at.timestamp()),
        secrets_to_sign=claim.target.secrets_at(at),
    )
    headers["Content-Type"] = "application/json"
    async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
        text = await _first_bytes(answer)
        answer.close()  # what it has to say beyond that is not read
        error = _error_of(answer.status, url.host)
        return answer.status, text, _retry_after(answer.headers.get("Retry-After")), error


async def _first_bytes(answer: aiohttp.ClientResponse) -> str:
    taken = b""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(ANSWER_SECONDS):
            while len(taken) < ANSWER_BYTES and (some := await answer.content.read(ANSWER_BYTES - len(taken))):
                taken += some
    return taken.decode("utf-8", "replace").replace("\x00", "")


def _words_of(failure: aiohttp.ClientConnectorError) -> str:
    """Without the address behind the name: an inner one is for the operator alone, who has the log."""
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return str(failure.os_error)
    log.info("No connection to a receiver of alerts: %s", failure.os_error)
    return os.strerror(failure.os_error.errno) if failure.os_error.errno else type(failure.os_error).__name__


def _error_of(status: int, host: str | None) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return str(refused_redirect(host, status))
    return f"The receiver answered {status}."


def _retry_after(header: str | None) -> timedelta | None:
    """Seconds or a date; None for whatever is neither."""
    if header is None:
        return None
    with suppress(ValueError, OverflowError, TypeError):
        if header.strip().isdigit():
            return timedelta(seconds=int(header))
        return max(timedelta(0), parsedate_to_datetime(header).astimezone(UTC) - timezone.now())
    return None
