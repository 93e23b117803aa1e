"""Deliveries go after some time, a batch at a time."""

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from deployments.models import AlertDelivery, AlertTarget, AlertTry

#: Deleted in one transaction: few enough that nobody waits for them.
BATCH: Final = 1_000


def forget_deliveries() -> int:
    """Delete a batch of those made more than ALERT_LOG_DAYS ago, whatever became of them; how many these were.

    With the last of its deliveries goes a target that was removed.
    """
    until = timezone.now() - timedelta(days=settings.ENVIRONMENT.alert_log_days)
    old = AlertDelivery.objects.filter(created_at__lt=until).order_by("created_at")
    with transaction.atomic():
        # Another worker may be at it: its rows are left to it.
        ids = list(old.select_for_update(skip_locked=True).values_list("id", flat=True)[:BATCH])
        AlertTry.objects.filter(delivery_id__in=ids).delete()
        AlertDelivery.objects.filter(id__in=ids).delete()
    AlertTarget.objects.filter(deleted_at__lt=until, deliveries__isnull=True).delete()
    return len(ids)
