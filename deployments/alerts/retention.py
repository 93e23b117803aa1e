"""Deliveries go after some time, in small transactions that hold nobody up."""

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from deployments.models import AlertDelivery, AlertTarget, AlertTry

AT_ONCE: Final = 500
#: So many transactions at a time: what is left goes with the next sweep.
MOST_BATCHES: Final = 20


def delete_old_deliveries() -> int:
    """Those made more than ALERT_LOG_DAYS ago, whatever became of them, and removed targets without any; how many."""
    until = timezone.now() - timedelta(days=settings.ENVIRONMENT.alert_log_days)
    deleted = 0
    for _ in range(MOST_BATCHES):
        old = AlertDelivery.objects.filter(created_at__lt=until).order_by("created_at")
        with transaction.atomic():
            # Another worker may be at it: its rows are left to it.
            ids = list(old.select_for_update(skip_locked=True).values_list("id", flat=True)[:AT_ONCE])
            AlertTry.objects.filter(delivery_id__in=ids).delete()
            AlertDelivery.objects.filter(id__in=ids).delete()
        deleted += len(ids)
        if len(ids) < AT_ONCE:
            break
    AlertTarget.objects.filter(deleted_at__lt=until, deliveries__isnull=True).delete()
    return deleted
