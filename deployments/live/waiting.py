"""A caller that waits for an execution's end: without a thread, and without a database connection."""

import time
from collections.abc import Callable
from uuid import UUID

from deployments.executions.database_threads import in_database_thread
from deployments.live.hub import current_hub
from deployments.models import ExecutionLog

POLL_SECONDS = 5.0


async def wait_for_end(execution_id: UUID, *, seconds: float, begin: Callable[[], None] | None = None) -> bool:
    """Whether the execution has ended before that many seconds are over.

    To be called after the accepting commit: it subscribes, looks, and then waits, so that no end is missed. With
    `begin`, which lets the execution start only once it is listened to, there is nothing to look for at first.
    """
    deadline = time.monotonic() + seconds
    async with current_hub().subscribe_to_end(execution_id) as subscription:
        if begin is not None:
            begin()
            if await subscription.wait_for_end(min(seconds, POLL_SECONDS)):
                return True
        while not await in_database_thread(_has_ended, execution_id):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if await subscription.wait_for_end(min(left, POLL_SECONDS)):
                return True  # announced after its commit: there is no need to look
    return True


def _has_ended(execution_id: UUID) -> bool:
    return not ExecutionLog.objects.filter(id=execution_id).unfinished().exists()
