"""The figures of the whole site, as the database knows them: what waits, what runs, what has ended lately.

Each is read through an index and up to a bound, so that reading them costs the same on an empty site and on a full one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from deployments.models import ExecutionLog
from deployments.scheduling.figures import ScheduleFigures, read_figures

#: What is counted one by one is counted no further; the figure then means: at least so many.
MOST_COUNTED: Final = 50_000
#: How far the figures look back.
LATELY: Final = timedelta(minutes=5)
COUNTED_NOW: Final = (ExecutionLog.Status.QUEUED, ExecutionLog.Status.RUNNING)


@dataclass(frozen=True)
class SiteFigures:
    """The figures at one moment."""

    #: How many are queued and running now; at most `MOST_COUNTED` of each.
    now: Mapping[str, int]
    #: How long the oldest has been queued that waits for no other of its schedule.
    queue_age_seconds: float
    #: Running executions whose lease is over: their worker is gone, and nobody has taken them up yet.
    leases_over: int
    #: By status, of the newest that were accepted lately; at most `MOST_COUNTED` in all.
    lately: Mapping[str, int]
    #: The scheduled times of that while.
    schedules: ScheduleFigures


def read_site_figures() -> SiteFigures:
    """Read them now, in eight statements."""
    executions, now = ExecutionLog.objects.order_by(), timezone.now()
    return SiteFigures(
        now={status.value: _bounded_count(executions.filter(status=status)) for status in COUNTED_NOW},
        queue_age_seconds=_age_of_queue(now),
        leases_over=_bounded_count(executions.filter(status=ExecutionLog.Status.RUNNING, lease_expires_at__lte=Now())),
        lately=_lately(now - LATELY),
        schedules=read_figures(since=now - LATELY),
    )


def _bounded_count(rows: "QuerySet[ExecutionLog]") -> int:
    return rows.values("id")[:MOST_COUNTED].count()


def _age_of_queue(now: datetime) -> float:
    queued = ExecutionLog.objects.filter(status=ExecutionLog.Status.QUEUED, waits_for_previous=False)
    oldest = queued.order_by("created_at").values_list("created_at", flat=True).first()
    return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())


def _lately(since: datetime) -> dict[str, int]:
    newest = ExecutionLog.objects.filter(created_at__gte=since).order_by("-created_at", "-id")[:MOST_COUNTED]
    counts = {status.value: Count("status", filter=Q(status=status)) for status in ExecutionLog.Status}
    return newest.aggregate(**counts)
