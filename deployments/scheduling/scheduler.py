"""The beat: fires our schedules from their own table, and what else stands in beat's tables as the stock one does."""

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, close_old_connections
from django.db.models import Q
from django.db.models.functions import Now

from deployments.models import BeatLease
from deployments.scheduling.entries import mend_entries
from deployments.scheduling.firing import fire_due, seconds_until_next
from deployments.scheduling.foreign_entries import ForeignEntries
from deployments.signs_of_life import show_alive
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

#: An edit is in force after so many seconds at most.
LONGEST_PAUSE_SECONDS = 1.0
#: While somebody else holds what is due: another beat that is just firing it, or an edit.
HELD_PAUSE_SECONDS = 0.02
RETRY_SECONDS = 1.0
#: For so long a beat that was lost keeps the foreign entries from the others.
LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0
MEND_SECONDS = 300.0
FOREIGN_ENTRIES = "foreign entries"


class DeploymentScheduler(ForeignEntries):
    """Any number of them may run at once: our schedules are claimed row by row, and a lease has the other entries."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._leads_until = self._asks_at = self._mends_at = float("-inf")
        #: When the next schedule fires, as the last tick has read it; on the monotonic clock.
        self._next_at = float("-inf")
        self._is_set_up = False
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Put the entries of Celery's own into the tables; at a later tick when the database is away."""
        try:
            super().setup_schedule()
            self._is_set_up = True
        except Exception as error:  # noqa: BLE001 - whatever it is, our schedules fire without
            log.warning("Beat's tables cannot be read yet: %s", error)
            close_old_connections()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Fire what is due; the seconds until the next call. Nothing that goes wrong ends a beat."""
        show_alive()
        pause = self._attempt(self._fire, "The schedules could not be fired")
        if pause is None:
            return RETRY_SECONDS
        until_foreign = self._attempt(self._see_to_foreign_entries, "Other entries of beat's tables could not be run")
        return pause if until_foreign is None else min(pause, until_foreign)

    def _attempt(self, part: Callable[[], float], complaint: str) -> float | None:
        """What it returns; None when it fails."""
        try:
            close_old_connections()
            return part()
        except DATABASE_OUTAGES as error:
            log.warning("%s; trying again soon: %s", complaint, error)
        except Exception:
            log.exception("%s; trying again soon", complaint)
        close_old_connections()
        return None

    def _fire(self) -> float:
        # Where a pause ends at a schedule's time, that schedule waits for no question whether it is due.
        is_due = time.monotonic() >= self._next_at
        until_next = 0.0 if is_due else seconds_until_next()
        fired = 0
        if until_next is not None and until_next <= 0:
            fired = fire_due()
            until_next = seconds_until_next()
        if until_next is None:
            self._next_at = float("inf")
            return LONGEST_PAUSE_SECONDS
        self._next_at = time.monotonic() + until_next
        if until_next <= 0 and not fired:
            return HELD_PAUSE_SECONDS
        return min(max(until_next, 0.0), LONGEST_PAUSE_SECONDS)

    def _see_to_foreign_entries(self) -> float:
        """What one beat does for all."""
        if not self._leads():
            return LONGEST_PAUSE_SECONDS
        if not self._is_set_up:
            self.setup_schedule()
        if time.monotonic() >= self._mends_at:
            mend_entries()
            self._mends_at = time.monotonic() + MEND_SECONDS
        return self.run_foreign_entries()

    def _leads(self) -> bool:
        """Whether the foreign entries are this beat's to run: it holds the lease, by the database's clock."""
        now = time.monotonic()
        led = now < self._leads_until
        if now >= self._asks_at:
            self._asks_at = now + RENEW_SECONDS
            if _take_lease(self._owner):
                self._leads_until = now + LEASE_SECONDS - RENEW_SECONDS
        leads = time.monotonic() < self._leads_until
        if leads and not led:
            self.forget_foreign_entries()  # what another beat has run meanwhile stands in the tables
        return leads


def _take_lease(owner: str) -> bool:
    """Take the lease, or keep it; whether it is this beat's now."""
    free = Q(owner=owner) | Q(expires_at__lte=Now())
    lease = BeatLease.objects.filter(free, name=FOREIGN_ENTRIES)
    if lease.update(owner=owner, expires_at=Now() + timedelta(seconds=LEASE_SECONDS)):
        return True
    if BeatLease.objects.filter(name=FOREIGN_ENTRIES).exists():
        return False
    try:
        BeatLease.objects.create(name=FOREIGN_ENTRIES, owner=owner, expires_at=Now() + timedelta(seconds=LEASE_SECONDS))
    except IntegrityError:  # another beat came first
        return False
    return True
