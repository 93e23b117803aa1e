"""Notes when keys were last used: at most once a minute for each, and never while a request waits for it."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

from django.db import close_old_connections
from django.db.models import Q

from deployments.models import ApiKey
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

PRECISION = timedelta(minutes=1)

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="key-use")


def note_use(key_id: UUID, *, at: datetime, last_used_at: datetime | None) -> None:
    """Have the key's `last_used_at` brought up to `at`, unless it is less than a minute old. Returns at once."""
    if last_used_at is None or at - last_used_at >= PRECISION:
        _thread.submit(_write, key_id, at)


def _write(key_id: UUID, at: datetime) -> None:
    close_old_connections()
    try:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at - PRECISION)
        ApiKey.objects.filter(stale, id=key_id).update(last_used_at=at)
    except DATABASE_OUTAGES as error:
        log.warning("The last use of an API key could not be noted: %s", error)
    except Exception:  # nobody looks at what the thread returns
        log.exception("The last use of an API key could not be noted")
    finally:
        close_old_connections()
