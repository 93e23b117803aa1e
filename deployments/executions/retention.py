"""What is not kept for good: old days of daily use, windows of attempts to sign in that are over, old alerts.

The audit is no part of it: nothing deletes from that.
"""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from access.sign_in_limits import forget_windows
from deployments.alerts.retention import forget_deliveries
from deployments.days import day_of
from deployments.models import DailyUse

#: Deleted in one statement: few enough that nobody waits for them.
BATCH: Final = 1_000


def forget_old(*, now: datetime | None = None) -> bool:
    """Delete a batch of each; whether there may be more. Any number of processes may do it at once."""
    return max(_forget_days(now or timezone.now()), forget_windows(), forget_deliveries()) >= BATCH


def _forget_days(now: datetime) -> int:
    first_kept = day_of(now) - timedelta(days=settings.ENVIRONMENT.daily_use_days)
    old = DailyUse.objects.filter(day__lt=first_kept).order_by("day", "id").values_list("id", flat=True)
    return DailyUse.objects.filter(id__in=list(old[:BATCH])).delete()[0]
