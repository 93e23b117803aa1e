"""What a deployment or an API key has used of its day's limits, over REST."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from deployments.api.serializers import MoneyField
from deployments.days import day_of, start_of
from deployments.executions.daily_use import NANO, use_of_day
from deployments.models import ApiKey, DailyUse, Deployment


@dataclass(frozen=True)
class UsedToday:
    """What was used, calls on their way included; None where there is no limit, and nothing is counted."""

    day: date
    opens_again_at: datetime
    tokens: int | None
    cost_usd: Decimal | None
    executions: int | None


class DailyUseSerializer(serializers.Serializer[Any]):
    """What was used this day. Null: there is no limit of that kind, and nothing is counted."""

    day = serializers.DateField(help_text="Of UTC.")
    opens_again_at = serializers.DateTimeField(help_text="When the next day begins, and counts from nothing.")
    tokens = serializers.IntegerField(allow_null=True, help_text="Those set aside for calls on their way included.")
    cost_usd = MoneyField(allow_null=True)
    executions = serializers.IntegerField(allow_null=True, help_text="Counted for keys with a quota.")


def daily_use_of(owner: Deployment | ApiKey) -> UsedToday:
    """What it has used since midnight."""
    day = day_of(timezone.now())
    use = use_of_day([owner.id], day).get(owner.id, DailyUse())
    return UsedToday(
        day=day,
        opens_again_at=start_of(day + timedelta(days=1)),
        tokens=None if owner.daily_max_tokens is None else use.tokens,
        cost_usd=None if owner.daily_max_cost_usd is None else Decimal(use.nano_usd) / NANO,
        executions=use.executions if isinstance(owner, ApiKey) and owner.daily_max_executions is not None else None,
    )
