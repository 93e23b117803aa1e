"""The workers' part in it: a bounded while now and then, from where the last one stopped."""

import time
from collections import deque
from collections.abc import Callable
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from access.audit import record_action
from deployments.days import day_of
from deployments.models import Deployment, RetentionTally
from deployments.retention.cutoffs import DRAFTS, Scope
from deployments.retention.policy import RETENTION_FIELDS, Policy, RetentionFields
from deployments.retention.removing import Place, Step, Walk, What, walks_of

SYSTEM: Final = "system"
#: How long a sweep goes on at most, but for the batch that it is at.
SWEEP_SECONDS: Final = 1.0
_NONE_OF_ITS_OWN: Final = Q(**dict.fromkeys((f"{name}__isnull" for name in RETENTION_FIELDS), True))

Progress = Callable[[Walk, Step], None]


class RetentionSweep:
    """Goes round all deployments that keep anything for a time only. One for a process.

    It remembers how far it came in each history, so that what was seen to is not looked at again that day. On the next
    one it begins anew, and finds what it had to leave: what somebody held, what was the latest success then.
    """

    def __init__(self) -> None:
        self._waiting: deque[Scope] = deque()
        self._walks: deque[Walk] = deque()
        self._places: dict[tuple[UUID, What], Place] = {}
        self._day: date | None = None

    def run(self, *, seconds: float = SWEEP_SECONDS, progress: Progress | None = None) -> int:
        """Remove for so long, or until all is done once; how many payloads and executions went."""
        end, removed = time.monotonic() + seconds, 0
        if not self._waiting and not self._walks:
            self._begin()
        while time.monotonic() < end and (walk := self._next_walk()) is not None:
            began = time.monotonic()
            step = self._step(walk)
            removed += step.removed
            if progress is not None:
                progress(walk, step)
            if step.removed:
                time.sleep(time.monotonic() - began)  # half of the time belongs to everybody else
        record_days()
        return removed

    @property
    def is_done(self) -> bool:
        """Whether it has been round, and the next sweep begins anew."""
        return not self._waiting and not self._walks

    def _begin(self) -> None:
        today = day_of(timezone.now())
        if today != self._day:
            self._day = today
            self._places.clear()
        self._waiting.extend(scopes_in_force())

    def _next_walk(self) -> Walk | None:
        while not self._walks and self._waiting:
            self._walks.extend(walks_of([self._waiting.popleft()], timezone.now()))
        return self._walks[0] if self._walks else None

    def _step(self, walk: Walk) -> Step:
        key = (walk.scope.owner_id, walk.what)
        # Taken off meanwhile: one that fails is left until the next round, and the others go on.
        self._walks.popleft()
        step = walk.step(self._places.get(key))
        if step.place is not None:
            self._walks.appendleft(walk)
            self._places[key] = step.place
        return step


def scopes_in_force() -> list[Scope]:
    """Everything that is kept for a time only: undeployed deployments too, and the runs of drafts."""
    site_keeps_all = Policy.of(RetentionFields()).is_endless
    deployments = Deployment.objects.exclude(_NONE_OF_ITS_OWN) if site_keeps_all else Deployment.objects.all()
    scopes = [Scope.of(deployment) for deployment in deployments.only("id", *RETENTION_FIELDS).order_by("id")]
    scopes.append(Scope(None, Policy.of_drafts()))
    return [scope for scope in scopes if not scope.policy.is_endless]


def record_days(*, now: datetime | None = None) -> int:
    """Put the days that are over in the audit: one record for each deployment and day; how many these were."""
    today = day_of(now or timezone.now())
    recorded = 0
    for tally_id in list(RetentionTally.objects.filter(day__lt=today).values_list("id", flat=True)):
        with transaction.atomic():
            rows = RetentionTally.objects.filter(id=tally_id).select_for_update(skip_locked=True, of=("self",))
            tally = rows.first()
            if tally is None:  # another worker records it
                continue
            _record(tally)
            tally.delete()
            recorded += 1
    return recorded


def _record(tally: RetentionTally) -> None:
    details = {"day": tally.day.isoformat(), "payloads": tally.payloads, "executions": tally.executions}
    if tally.owner_id == DRAFTS:
        on, label = ("design", ""), "runs of drafts"
    else:
        on = ("deployment", str(tally.owner_id))
        label = Deployment.objects.values_list("endpoint_path", flat=True).get(id=tally.owner_id)
    record_action("history.removed", by=SYSTEM, team_id=tally.team_id, on=on, label=label, details=details)
