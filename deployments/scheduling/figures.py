"""How well the schedules fire, in figures: how late, what was missed, what was skipped and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, DurationField, ExpressionWrapper, F, Max, Min, Q, QuerySet, Sum
from django.utils import timezone

from deployments.models import ExecutionLog, ScheduleConfig

#: The bounds of the counts of lateness, in seconds.
LATENESS_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 300.0, 3600.0)
#: The clocks of the hosts that make rows may differ so much.
SKEW: Final = timedelta(minutes=5)
_NOTHING: Final = timedelta()


@dataclass(frozen=True)
class ScheduleFigures:
    """Of the scheduled times whose rows were made since some moment. Seconds are seconds, the rest are counts.

    A time is fired when its execution runs, at once or after the one before it. Lateness is from the scheduled time to
    the row; schedules with a jitter are late on purpose, and are left out of it.
    """

    fired: int
    #: By reason: `missed`, `overlap`, `limit`.
    skipped: Mapping[str, int]
    #: How many were at most so late, by `LATENESS_BOUNDS`.
    at_most_late: Mapping[float, int]
    #: How many lateness was measured of, their sum, and the greatest.
    measured: int
    lateness_sum: float
    lateness_max: float
    #: Schedules that have a next time, and how long the first of these is overdue now: more than a few seconds say
    #: that no beat runs.
    in_force: int
    overdue_seconds: float

    @property
    def missed(self) -> int:
        return self.skipped.get("missed", 0)


def read_figures(*, since: datetime) -> ScheduleFigures:
    """The figures since then, in three statements. Their cost goes with the rows since then, not with the history."""
    rows = ExecutionLog.objects.filter(
        id__gte=_first_id_of(since - SKEW), created_at__gte=since, trigger_type=ExecutionLog.Trigger.SCHEDULED
    ).order_by()
    reasons = dict(rows.values_list("reason").annotate(count=Count("id")))
    fired = reasons.pop("", 0)
    late = _lateness_of(rows.filter(reason="").exclude(schedule__jitter_seconds__gt=0))
    now = timezone.now()
    schedules = ScheduleConfig.objects.aggregate(in_force=Count("next_fire_at"), first=Min("next_fire_at"))
    first = schedules["first"] or now
    return ScheduleFigures(
        fired=fired,
        skipped=reasons,
        at_most_late={bound: late[f"at_most_{place}"] for place, bound in enumerate(LATENESS_BOUNDS)},
        measured=late["measured"],
        lateness_sum=(late["total"] or _NOTHING).total_seconds(),
        lateness_max=(late["greatest"] or _NOTHING).total_seconds(),
        in_force=schedules["in_force"],
        overdue_seconds=max(0.0, (now - first).total_seconds()),
    )


def _lateness_of(rows: "QuerySet[ExecutionLog]") -> dict[str, Any]:
    lateness = ExpressionWrapper(F("created_at") - F("scheduled_for"), output_field=DurationField())
    counts = {
        f"at_most_{place}": Count("id", filter=Q(lateness__lte=timedelta(seconds=bound)))
        for place, bound in enumerate(LATENESS_BOUNDS)
    }
    late = rows.annotate(lateness=lateness)
    return late.aggregate(measured=Count("id"), total=Sum("lateness"), greatest=Max("lateness"), **counts)


def _first_id_of(moment: datetime) -> UUID:
    """The least UUID of version 7 of that millisecond: rows are in the order of their ids."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
