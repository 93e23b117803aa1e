"""What a limit lets in: concurrency, rates and daily quotas, counted where the execution is accepted.

All of it happens inside the accepting transaction and under locks of the database: so it is exact over any number of
processes, and given back when nothing is accepted after all. Locks are taken in one order: the deployment's row, the
key's row, the deployment's window, the key's window, the key's day. What has no limit costs no statement.

A rate is that of a window, which begins with the first call that finds none open, by the database's clock.
"""

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Case, DurationField, ExpressionWrapper, F, Q, Value, When
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from deployments.days import day_of, seconds_to_next_day
from deployments.limits import CallingKey
from deployments.models import ApiKey, DailyUse, Deployment, ExecutionLog, RateWindow
from deployments.models.execution import UNFINISHED_STATUSES
from deployments.prepared_statements import MakeSlot, PreparedUpdate, Slot

FULL_RETRY_AFTER_SECONDS = 1
#: When the window of who was never called began: it is over.
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class LimitReached(Exception):
    """A limit lets no more in for now. `code` is stable; after `retry_after` seconds it may let in the next one."""

    code: ClassVar[str]

    def __init__(self, message: str, *, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ConcurrencyLimitReached(LimitReached):
    """As many executions run as may, and more are rejected."""

    code = "concurrency-limit"


class RateLimitReached(LimitReached):
    """The calls of this window are used up."""

    code = "rate-limit"


class DailyQuotaReached(LimitReached):
    """The key's executions of this day are used up."""

    code = "daily-quota"


def admit(deployment: Deployment | None, key: CallingKey | None, *, now: datetime) -> None:
    """Count one more execution of this deployment by this key; inside the accepting transaction.

    Raises `LimitReached`, with which the transaction has to be rolled back.
    """
    if deployment is not None:
        _refuse_when_full(deployment)
    if key is not None and key.limits.max_concurrent is not None:
        _refuse_when_key_is_full(key.id, key.limits.max_concurrent)
    if deployment is not None:
        _count_call(deployment.id, deployment.rate_count, deployment.rate_seconds, whose="This deployment")
    if key is not None:
        _count_call(key.id, key.limits.rate_count, key.limits.rate_seconds, whose="This API key")
        _count_execution_of_day(key.id, key.limits.daily_max_executions, now)


def _refuse_when_full(deployment: Deployment) -> None:
    if deployment.max_concurrent is None or deployment.when_full != Deployment.WhenFull.REJECT:
        return
    # Under the deployment's lock the count is exact over any number of processes. It is none against foreign keys: a
    # beat that inserts executions of many deployments must not wait for one caller.
    locked = Deployment.objects.select_for_update(no_key=True)
    limit = locked.values_list("max_concurrent", flat=True).get(id=deployment.id)
    if limit is not None and ExecutionLog.objects.filter(deployment=deployment).unfinished().count() >= limit:
        message = f"This deployment runs at most {limit} executions at once."
        raise ConcurrencyLimitReached(message, retry_after=FULL_RETRY_AFTER_SECONDS)


def _refuse_when_key_is_full(key_id: UUID, limit: int) -> None:
    """What a key has asked for counts while it waits, too: a key has no queue of its own."""
    list(ApiKey.objects.filter(id=key_id).select_for_update(no_key=True).values_list("id"))
    if ExecutionLog.objects.filter(status__in=UNFINISHED_STATUSES, api_key=key_id).count() >= limit:
        message = f"This API key has at most {limit} executions at once, those that wait included."
        raise ConcurrencyLimitReached(message, retry_after=FULL_RETRY_AFTER_SECONDS)


def _is_over(slot: MakeSlot) -> CombinedExpression:
    """Windows that began so long ago are over."""
    return Now() - Slot("length", DurationField())


def _windows_with_room(slot: MakeSlot) -> Any:
    open_ones = Q(began_at__lte=_is_over(slot)) | Q(count__lt=slot("limit", of="count"))
    return RateWindow.objects.filter(open_ones, owner_id=slot("owner_id"))


def _counted(slot: MakeSlot) -> dict[str, Any]:
    begins_anew = Q(began_at__lte=_is_over(slot))
    return {
        "count": Case(When(begins_anew, then=Value(1)), default=F("count") + 1),
        "began_at": Case(When(begins_anew, then=Now()), default=F("began_at")),
    }


#: `owner_id`, `limit` and `length` of the window: one call more, in this window or as the first of the next.
COUNT_CALL = PreparedUpdate(RateWindow, _windows_with_room, _counted)


def _count_call(owner_id: UUID, limit: int | None, seconds: int | None, *, whose: str) -> None:
    if limit is None or seconds is None:
        return
    values = {"owner_id": owner_id, "limit": limit, "length": timedelta(seconds=seconds)}
    if COUNT_CALL.run_each([values]):
        return
    if (left := _time_left(owner_id, seconds)) is None:
        # The very first call. Of several at once one inserts the row, and the others wait for that one's end.
        RateWindow.objects.bulk_create([RateWindow(owner_id=owner_id, began_at=LONG_AGO)], ignore_conflicts=True)
        if COUNT_CALL.run_each([values]):
            return
        left = _time_left(owner_id, seconds) or timedelta()
    message = f"{whose} takes {_calls(limit)} in {_seconds(seconds)}, and they are used up."
    raise RateLimitReached(message, retry_after=max(1, ceil(left.total_seconds())))


def _time_left(owner_id: UUID, seconds: int) -> timedelta | None:
    """How long the window is open still; None when there never was one."""
    window = RateWindow.objects.filter(owner_id=owner_id)
    left: timedelta | None = (
        window.annotate(
            left=ExpressionWrapper(F("began_at") + timedelta(seconds=seconds) - Now(), output_field=DurationField())
        )
        .values_list("left", flat=True)
        .first()
    )
    return left


def _count_execution_of_day(key_id: UUID, limit: int | None, now: datetime) -> None:
    if limit is None:
        return
    day = day_of(now)
    row = DailyUse.objects.filter(owner_id=key_id, day=day)
    if row.filter(executions__lt=limit).update(executions=F("executions") + 1):
        return
    DailyUse.objects.bulk_create([DailyUse(owner_id=key_id, day=day)], ignore_conflicts=True)
    if row.filter(executions__lt=limit).update(executions=F("executions") + 1):
        return
    message = f"This API key starts at most {limit} executions a day (UTC), and they are used up."
    raise DailyQuotaReached(message, retry_after=seconds_to_next_day(now))


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def _seconds(seconds: int) -> str:
    return "1 second" if seconds == 1 else f"{seconds} seconds"
