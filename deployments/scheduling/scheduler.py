"""The beat: fires our schedules from their own table, and what else stands in beat's tables as the stock one does."""

import logging
import os
import secrets
import socket
import time
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, IntegrityError, InterfaceError, close_old_connections
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django_celery_beat.schedulers import DatabaseScheduler

from deployments.models import BeatLease
from deployments.scheduling.entries import FIRE_SCHEDULE
from deployments.scheduling.firing import fire_due, seconds_until_next

log = logging.getLogger(__name__)

#: An edit is in force after so many seconds at most.
LONGEST_PAUSE_SECONDS = 1.0
RETRY_SECONDS = 1.0
#: For so long a beat that was lost keeps the foreign entries from the others.
LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0
FOREIGN_ENTRIES = "foreign entries"


class DeploymentScheduler(DatabaseScheduler):  # type: ignore[misc] # it ships no types
    """Any number of them may run at once: our schedules are claimed row by row, and a lease has the other entries."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._leads_until = self._asks_at = float("-inf")
        self._is_set_up = False
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Put the entries of Celery's own into the tables; at a later tick when the database is away."""
        try:
            super().setup_schedule()
            self._is_set_up = True
        except (DatabaseError, InterfaceError) as error:
            log.warning("Beat's tables cannot be read yet: %s", error)
            close_old_connections()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Fire what is due; the seconds until the next call. An outage of the database ends no beat."""
        close_old_connections()
        try:
            if not self._is_set_up:
                self.setup_schedule()
            fire_due()
            until_next = seconds_until_next()
            pause = LONGEST_PAUSE_SECONDS if until_next is None else min(max(until_next, 0.0), LONGEST_PAUSE_SECONDS)
            return min(pause, float(super().tick(*args, **kwargs))) if self._leads() else pause
        except (DatabaseError, InterfaceError) as error:
            log.warning("The schedules could not be fired; trying again in %g s: %s", RETRY_SECONDS, error)
            close_old_connections()
            return RETRY_SECONDS

    def enabled_models_qs(self) -> "QuerySet[Any]":
        """The entries that are not ours: those fire from their own table."""
        entries: QuerySet[Any] = super().enabled_models_qs()
        return entries.exclude(task=FIRE_SCHEDULE)

    def _get_crontab_exclude_query(self) -> Q:
        # The stock one loads an entry of a fixed hour only around that hour, and so fires a missed one a day later.
        return Q(pk__in=())

    def _leads(self) -> bool:
        """Whether the foreign entries are this beat's to run: it holds the lease, by the database's clock."""
        now = time.monotonic()
        if now >= self._asks_at:
            self._asks_at = now + RENEW_SECONDS
            if _take_lease(self._owner):
                self._leads_until = now + LEASE_SECONDS - RENEW_SECONDS
        return now < self._leads_until


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
