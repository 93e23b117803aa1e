"""A worker's sending of alerts, on its event loop: many at a time, few to one target and half of them to one team's, so
that what stalls holds up neither executions nor the others.
"""

import asyncio
import logging
from collections import Counter
from importlib import import_module
from typing import Any, Final

from cryptography.fernet import InvalidToken
from django.utils import timezone

from deployments.alerts.deliveries import PER_TARGET, Claim, Outcome, claim_due, settle
from deployments.alerts.mail import send_mail
from deployments.executions.database_threads import in_database_thread
from deployments.models import AlertTarget
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

#: Deliveries that one worker has on their way.
MOST_AT_ONCE: Final = 50
UNREADABLE: Final = (
    "None of ENCRYPTION_KEYS opens the URL or the secret. Make a new secret, then set the URL; or add the alert anew."
)


class AlertSender:
    """Sends what is due whenever it is woken: by a message about it, by the sweep, by the end of another delivery."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._sending: dict[asyncio.Task[None], Claim] = {}
        self._session: Any = None

    def wake(self) -> None:
        """Look for what is due. Of the loop's thread."""
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled. Whatever goes wrong, the next sweep wakes it again."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._send_due()
            except DATABASE_OUTAGES as error:
                log.warning("Alerts that are due could not be looked for: %s", error)
            except Exception:
                log.exception("Alerts that are due could not be looked for")

    async def close(self) -> None:
        """Break off what is on its way: another worker finds it when the claims are over."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _send_due(self) -> None:
        while (room := MOST_AT_ONCE - len(self._sending)) > 0:
            of_teams = Counter(claim.target.deployment.team_id for claim in self._sending.values())
            claims = await in_database_thread(claim_due, room=room, busy=self._busy(), of_teams=of_teams)
            for claim in claims:
                task = asyncio.create_task(self._send(claim))
                self._sending[task] = claim
                task.add_done_callback(self._forget)
            if not claims:
                return

    def _busy(self) -> list[Any]:
        counts = Counter(claim.target.id for claim in self._sending.values())
        return [target_id for target_id, count in counts.items() if count >= PER_TARGET]

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        self._woken.set()

    async def _send(self, claim: Claim) -> None:
        try:
            outcome = await self._try(claim)
            await in_database_thread(settle, claim, outcome)
        except DATABASE_OUTAGES as error:
            log.warning("What came of alert %s could not be written; it is sent again: %s", claim.delivery.id, error)
        except Exception:
            log.exception("Alert %s could not be sent", claim.delivery.id)

    async def _try(self, claim: Claim) -> Outcome:
        if claim.target.kind == AlertTarget.Kind.EMAIL:
            return await asyncio.to_thread(send_mail, claim)
        try:
            await in_database_thread(claim.target.refresh_from_db, fields=[*AlertTarget.ENCRYPTED])
        except InvalidToken:
            return Outcome(timezone.now(), 0, UNREADABLE)
        webhook = import_module("deployments.alerts.webhook")
        if self._session is None:
            self._session = webhook.open_session()
        outcome: Outcome = await webhook.post_webhook(self._session, claim)
        return outcome
