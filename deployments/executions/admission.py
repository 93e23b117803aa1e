"""What a limit lets in: concurrency, rates and daily quotas, counted where the execution is accepted.

All of it happens inside the accepting transaction and under locks of the database: so it is exact over any number of
processes, and given back when nothing is accepted after all. Locks are taken in one order: the deployment's row, the
key's row, the deployment's window, the key's window, the key's day. What has no limit costs no statement.

A rate is that of a window, which begins with the first call that finds none open, by the database's clock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, ClassVar, Literal
from uuid import UUID

from django.db.models import Case, DateTimeField, DurationField, ExpressionWrapper, F, Q, Value, When
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from deployments.days import day_of, seconds_to_next_day
from deployments.limits import CallingKey
from deployments.models import ApiKey, DailyUse, Deployment, ExecutionLog, RateWindow
from deployments.models.execution import UNFINISHED_STATUSES
from deployments.prepared_statements import MakeSlot, PreparedUpdate, Slot

FULL_RETRY_AFTER_SECONDS = 1
SECONDS_OF_A_DAY = 86_400
#: When the window of who was never called began: it is over.
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class QuotaPolicy:
    """So many calls in so many seconds, or executions in a day. Its name is for programs, and stable."""

    name: Literal["deployment-rate", "key-rate", "key-day"]
    owner_id: UUID
    limit: int
    seconds: int


@dataclass(frozen=True)
class Quota:
    """What is left of a policy, and in how many seconds it counts from nothing again."""

    policy: QuotaPolicy
    left: int
    opens_in: int


class LimitReached(Exception):
    """A limit lets no more in for now. `code` is stable; after `retry_after` seconds it may let in the next one.

    `used_up` is the policy that it was, where it was one of `policies`, all those that the call came by.
    """

    code: ClassVar[str]

    def __init__(self, message: str, *, retry_after: int, used_up: QuotaPolicy | None = None) -> None:
        self.retry_after = retry_after
        self.used_up = used_up
        self.policies: tuple[QuotaPolicy, ...] = ()
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


def admit(deployment: Deployment | None, key: CallingKey | None, *, now: datetime) -> tuple[Quota, ...]:
    """Count one more execution of this deployment by this key; inside the accepting transaction. What is left then.

    Raises `LimitReached`, with which the transaction has to be rolled back.
    """
    policies = _policies_of(deployment, key)
    try:
        if deployment is not None:
            _refuse_when_full(deployment)
        if key is not None and key.limits.max_concurrent is not None:
            _refuse_when_key_is_full(key.id, key.limits.max_concurrent)
        return tuple(
            _count_execution_of_day(policy, now) if policy.name == "key-day" else _count_call(policy)
            for policy in policies
        )
    except LimitReached as reached:
        reached.policies = policies
        raise


def _policies_of(deployment: Deployment | None, key: CallingKey | None) -> tuple[QuotaPolicy, ...]:
    """In the order of their locks."""
    found: list[QuotaPolicy] = []
    if deployment is not None and deployment.rate_count is not None and deployment.rate_seconds is not None:
        found.append(QuotaPolicy("deployment-rate", deployment.id, deployment.rate_count, deployment.rate_seconds))
    if key is not None:
        limits = key.limits
        if limits.rate_count is not None and limits.rate_seconds is not None:
            found.append(QuotaPolicy("key-rate", key.id, limits.rate_count, limits.rate_seconds))
        if limits.daily_max_executions is not None:
            found.append(QuotaPolicy("key-day", key.id, limits.daily_max_executions, SECONDS_OF_A_DAY))
    return tuple(found)


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
COUNT_CALL = PreparedUpdate(
    RateWindow, _windows_with_room, _counted, returning=[F("count"), F("began_at"), Now(output_field=DateTimeField())]
)


def _count_call(policy: QuotaPolicy) -> Quota:
    if (quota := _count_in_window(policy)) is not None:
        return quota
    if (left := _time_left(policy)) is None:
        # The very first call. Of several at once one inserts the row, and the others wait for that one's end.
        new = RateWindow(owner_id=policy.owner_id, began_at=LONG_AGO)
        RateWindow.objects.bulk_create([new], ignore_conflicts=True)
        if (quota := _count_in_window(policy)) is not None:
            return quota
        left = _time_left(policy) or timedelta()
    whose = "This deployment" if policy.name == "deployment-rate" else "This API key"
    message = f"{whose} takes {_calls(policy.limit)} in {_seconds(policy.seconds)}, and they are used up."
    raise RateLimitReached(message, retry_after=_whole_seconds(left), used_up=policy)


def _count_in_window(policy: QuotaPolicy) -> Quota | None:
    """None when the window has no room, or there never was one."""
    counted = COUNT_CALL.run_returning(
        owner_id=policy.owner_id, limit=policy.limit, length=timedelta(seconds=policy.seconds)
    )
    if counted is None:
        return None
    count, began_at, now = counted
    opens_in = _whole_seconds(began_at + timedelta(seconds=policy.seconds) - now)
    return Quota(policy, max(0, policy.limit - count), min(opens_in, policy.seconds))


def _time_left(policy: QuotaPolicy) -> timedelta | None:
    """How long the window is open still; None when there never was one."""
    window = RateWindow.objects.filter(owner_id=policy.owner_id)
    ends_at = F("began_at") + timedelta(seconds=policy.seconds)
    left: timedelta | None = (
        window.annotate(left=ExpressionWrapper(ends_at - Now(), output_field=DurationField()))
        .values_list("left", flat=True)
        .first()
    )
    return left


#: `owner_id`, `day` and `limit`: one execution more of that day.
COUNT_EXECUTION = PreparedUpdate(
    DailyUse,
    lambda slot: DailyUse.objects.filter(
        owner_id=slot("owner_id"), day=slot("day"), executions__lt=slot("limit", of="executions")
    ),
    lambda _: {"executions": F("executions") + 1},
    returning=[F("executions")],
)


def _count_execution_of_day(policy: QuotaPolicy, now: datetime) -> Quota:
    row, opens_in = {"owner_id": policy.owner_id, "day": day_of(now)}, seconds_to_next_day(now)
    counted = COUNT_EXECUTION.run_returning(**row, limit=policy.limit)
    if counted is None:
        DailyUse.objects.bulk_create([DailyUse(**row)], ignore_conflicts=True)
        counted = COUNT_EXECUTION.run_returning(**row, limit=policy.limit)
    if counted is None:
        message = f"This API key starts at most {policy.limit} executions a day (UTC), and they are used up."
        raise DailyQuotaReached(message, retry_after=opens_in, used_up=policy)
    return Quota(policy, max(0, policy.limit - counted[0]), opens_in)


def _whole_seconds(left: timedelta) -> int:
    return max(1, ceil(left.total_seconds()))


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def _seconds(seconds: int) -> str:
    return "1 second" if seconds == 1 else f"{seconds} seconds"
