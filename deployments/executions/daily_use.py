"""Daily budgets in the database: what is set aside before a call, settled after it, and given back for lost workers.

Each step is one transaction. It takes the locks of the deployment's day, then of the key's, then of the execution's
charge. A compare-and-set UPDATE decides whether an amount fits, so that any number of processes are exact together.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Final, cast
from uuid import UUID

from django.db import transaction
from django.db.models import BigIntegerField, F, Value
from django.db.models.expressions import CombinedExpression
from django.utils import timezone

from deployments.days import day_of, start_of
from deployments.executions.journal import stream_recorded
from deployments.executions.limits import BudgetKind, ExecutionLimits
from deployments.models import ApiKey, DailyCharge, DailyUse, Deployment, ExecutionLog
from deployments.models.execution import TERMINAL_STATUSES
from deployments.money import money_text
from executor.budget import Amount
from executor.checkpoint import amount_used
from executor.errors import CeilingReached
from executor.journal import RecordedPast

NANO: Final = 1_000_000_000
SETTLED_AT_ONCE: Final = 20


class ChargeLost(Exception):
    """Another attempt has taken the execution over: what this one reserves and settles counts no more."""


@dataclass(frozen=True)
class Owner:
    """Whose budget it is: a deployment's or a key's."""

    kind: BudgetKind
    id: UUID


@dataclass(frozen=True)
class Charged:
    """One attempt of one execution, and whose daily budgets it counts against, in the order of their locks."""

    execution_id: UUID
    attempt: int
    owners: tuple[Owner, ...]


@dataclass(frozen=True)
class _Sum:
    tokens: int
    nano_usd: int

    @classmethod
    def of(cls, amount: Amount) -> "_Sum":
        return cls(amount.tokens, nano_usd(amount.cost or Decimal(0)))

    def minus(self, other: "_Sum") -> "_Sum":
        return _Sum(self.tokens - other.tokens, self.nano_usd - other.nano_usd)


def owners_of(row: ExecutionLog) -> tuple[Owner, ...]:
    """Whose daily budgets the execution was accepted under."""
    ids: dict[BudgetKind, UUID | None] = {"deployment": row.deployment_id, "key": row.api_key_id}
    kinds = ExecutionLimits.from_json(row.limits).daily
    return tuple(Owner(kind, owner_id) for kind in kinds if (owner_id := ids[kind]) is not None)


def nano_usd(cost: Decimal) -> int:
    """Whole billionths of a USD, rounded up."""
    return int((cost * NANO).to_integral_value(ROUND_CEILING))


def reserve(charged: Charged, amount: Amount) -> date:
    """Set the amount aside in each budget, as these are now, or in none; the day that it counts for.

    Raises `CeilingReached` where it does not fit, and `ChargeLost`.
    """
    day, wanted = day_of(timezone.now()), _Sum.of(amount)
    with transaction.atomic():
        for owner in charged.owners:
            _add_within(owner, day, amount, wanted)
        _charge(charged, day, wanted)
    return day


def settle(charged: Charged, day: date, reserved: Amount, used: Amount) -> None:
    """Replace what was reserved that day by what was used. Raises `ChargeLost`."""
    difference = _Sum.of(used).minus(_Sum.of(reserved))
    if difference == _Sum(0, 0):
        return
    with transaction.atomic():
        _add(charged.owners, day, difference)
        charges = DailyCharge.objects.filter(execution=charged.execution_id)
        ours = charges.filter(attempt=charged.attempt, day=day)
        if ours.update(**_raised_by(difference)):
            return
        # After midnight the charge is that of the new day, and the day that is over is settled alone.
        if not charges.filter(attempt=charged.attempt, day__gt=day).exists():
            raise ChargeLost


def take_over(charged: Charged, used: Amount, *, began_on: date) -> None:
    """Count for the execution what its journal says, instead of what a lost worker had set aside. Once an attempt."""
    with transaction.atomic():
        charge = _lock_charge(charged)
        if charge is not None and charge.attempt < charged.attempt:
            _correct(charge, charged, used, began_on)
            DailyCharge.objects.filter(execution=charged.execution_id).update(attempt=charged.attempt)


def close(charged: Charged) -> None:
    """The execution has ended, and all that it reserved is settled or stays counted."""
    DailyCharge.objects.filter(execution=charged.execution_id, attempt=charged.attempt).delete()


def settle_ended() -> int:
    """Settle what executions had set aside that ended without their workers; how many these were."""
    left_over = DailyCharge.objects.filter(execution__status__in=TERMINAL_STATUSES).select_related("execution")
    rows = left_over.defer("execution__input_data", "execution__result_data")[:SETTLED_AT_ONCE]
    return sum(_settle_one(row.execution) for row in rows)


def use_of_day(owner_ids: Collection[UUID], day: date) -> dict[UUID, DailyUse]:
    """What each of these deployments or keys has used that day; who has used nothing is left out."""
    return {use.owner_id: use for use in DailyUse.objects.filter(owner_id__in=owner_ids, day=day)}


def _settle_one(execution: ExecutionLog) -> bool:
    charged = Charged(execution.id, execution.attempt, owners_of(execution))
    began_on = day_of(execution.started_at or execution.created_at)
    used = amount_used(RecordedPast(stream_recorded(execution.id)).earlier_calls)
    with transaction.atomic():
        charge = _lock_charge(charged)
        if charge is None:
            return False
        _correct(charge, charged, used, began_on)
        charge.delete()
    return True


def _lock_charge(charged: Charged) -> DailyCharge | None:
    """The charge, with the days' locks that come before its own."""
    charges = DailyCharge.objects.filter(execution=charged.execution_id)
    day = charges.values_list("day", flat=True).first()
    if day is None:
        return None
    for owner in charged.owners:
        list(DailyUse.objects.filter(owner_id=owner.id, day=day).select_for_update().values_list("id"))
    return charges.filter(day=day).select_for_update(of=("self",)).first()


def _correct(charge: DailyCharge, charged: Charged, used: Amount, began_on: date) -> None:
    if charge.day != began_on:
        return  # what the journal says is of two days, and at the end of this one it does not matter any more
    should = _Sum.of(used)
    _add(charged.owners, charge.day, should.minus(_Sum(charge.tokens, charge.nano_usd)))
    DailyCharge.objects.filter(execution=charged.execution_id).update(tokens=should.tokens, nano_usd=should.nano_usd)


def _add_within(owner: Owner, day: date, amount: Amount, wanted: _Sum) -> None:
    max_tokens, max_cost = _budget_of(owner)
    if max_cost is not None and amount.cost is None:
        message = f"{_whose(owner)} has a daily budget in USD, and the model's price is not known."
        raise CeilingReached(message, reason="daily_budget")
    row = fitting = DailyUse.objects.filter(owner_id=owner.id, day=day)
    if max_tokens is not None:
        fitting = fitting.filter(tokens__lte=max_tokens - wanted.tokens)
    if max_cost is not None:
        fitting = fitting.filter(nano_usd__lte=nano_usd(max_cost) - wanted.nano_usd)
    changes = _raised_by(wanted)
    if fitting.update(**changes):
        return
    DailyUse.objects.bulk_create([DailyUse(owner_id=owner.id, day=day)], ignore_conflicts=True)
    if fitting.update(**changes):
        return
    raise _refusal(owner, row.get(), amount, max_tokens, max_cost)


def _budget_of(owner: Owner) -> tuple[int | None, Decimal | None]:
    """The budget as it is now: one that is lowered holds at once, for what runs too."""
    model = Deployment if owner.kind == "deployment" else ApiKey
    found = model._default_manager.filter(id=owner.id).values_list("daily_max_tokens", "daily_max_cost_usd").first()  # noqa: SLF001 - Django's documented API
    return cast(tuple[int | None, Decimal | None], found or (None, None))


def _refusal(
    owner: Owner, use: DailyUse, amount: Amount, max_tokens: int | None, max_cost: Decimal | None
) -> CeilingReached:
    opens = f"It opens again at {start_of(use.day + timedelta(days=1)):%Y-%m-%dT%H:%M}Z; or raise the budget."
    if max_tokens is not None and use.tokens + amount.tokens > max_tokens:
        left = f"the next call could need {amount.tokens} tokens, and {max(0, max_tokens - use.tokens)} are left"
        budget = f"{max_tokens} tokens"
    else:
        used = Decimal(use.nano_usd) / NANO
        left = (
            f"the next call could cost {money_text(amount.cost or Decimal(0))} USD, and"
            f" {money_text(max(Decimal(0), (max_cost or Decimal(0)) - used))} are left"
        )
        budget = f"{money_text(max_cost or Decimal(0))} USD"
    message = f"{_whose(owner)}'s budget of {budget} for the day {use.day} (UTC) is used up: {left}. {opens}"
    return CeilingReached(message, reason="daily_budget")


def _whose(owner: Owner) -> str:
    return "This deployment" if owner.kind == "deployment" else "This API key"


def _add(owners: tuple[Owner, ...], day: date, difference: _Sum) -> None:
    for owner in owners:
        DailyUse.objects.filter(owner_id=owner.id, day=day).update(**_raised_by(difference))


def _raised_by(amount: _Sum) -> dict[str, CombinedExpression]:
    """Both columns with so much more in them.

    The type is said: a bare number is taken for one of four bytes, and psycopg cuts off what is above these.
    """
    amounts = {"tokens": amount.tokens, "nano_usd": amount.nano_usd}
    return {name: F(name) + Value(number, BigIntegerField()) for name, number in amounts.items()}


def _charge(charged: Charged, day: date, wanted: _Sum) -> None:
    """Note it on the execution. The locks of the day are held, so that its calls come one after the other."""
    charges = DailyCharge.objects.filter(execution=charged.execution_id)
    ours = charges.filter(attempt=charged.attempt)
    changes = _raised_by(wanted)
    if ours.filter(day=day).update(**changes):
        return
    fresh = {"day": day, "tokens": wanted.tokens, "nano_usd": wanted.nano_usd}
    if ours.filter(day__lt=day).update(**fresh):
        return
    new = DailyCharge(execution_id=charged.execution_id, attempt=charged.attempt, day=day)
    DailyCharge.objects.bulk_create([new], ignore_conflicts=True)
    if not ours.filter(day=day).update(**changes):
        raise ChargeLost
