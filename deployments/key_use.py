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


def note_use(key_id: UUID, *, at: datetime, last_used_at: datetime | None, is_previous: bool = False) -> None:
    """Have the key's `last_used_at` brought up to `at`, unless it is less than a minute old. Returns at once.

    `is_previous`: it was used with the secret before its last rotation, whose own last use is noted, too.
    """
    if last_used_at is None or at - last_used_at >= PRECISION:
        _thread.submit(_write, key_id, at, ("previous_used_at", "last_used_at") if is_previous else ("last_used_at",))


def _write(key_id: UUID, at: datetime, columns: tuple[str, ...]) -> None:
    close_old_connections()
    try:
        stale = Q(**{f"{columns[0]}__isnull": True}) | Q(**{f"{columns[0]}__lt": at - PRECISION})
        ApiKey.objects.filter(stale, id=key_id).update(**dict.fromkeys(columns, at))
    except DATABASE_OUTAGES as error:
        log.warning("The last use of an API key could not be noted: %s", error)
    except Exception:  # nobody looks at what the thread returns
        log.exception("The last use of an API key could not be noted")
    finally:
        close_old_connections()
