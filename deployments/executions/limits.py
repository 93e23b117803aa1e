"""The ceilings of one execution, fixed when it is accepted: the deployment's own, else the site's."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Self, cast

from django.conf import settings

from deployments.limits import CallingKey
from deployments.models import Deployment
from executor.budget import Limits
from executor.json_types import JsonObject

BudgetKind = Literal["deployment", "key"]


@dataclass(frozen=True)
class ExecutionLimits:
    """Seconds, model requests, tokens and USD that one execution may take, and the bytes that it may hold.

    `max_cost_usd` None is no ceiling.

    `daily` says whose daily budgets it counts against, besides: its deployment's, its key's.
    """

    deadline_seconds: int
    max_calls: int
    max_tokens: int
    max_cost_usd: Decimal | None
    max_payload_bytes: int
    daily: tuple[BudgetKind, ...] = ()

    @classmethod
    def of(cls, deployment: Deployment | None, *, key: CallingKey | None = None) -> Self:
        site = settings.ENVIRONMENT
        own = deployment or Deployment()
        daily: list[BudgetKind] = ["deployment"] if own.has_daily_budget else []
        if key is not None and key.limits.has_daily_budget:
            daily.append("key")
        return cls(
            deadline_seconds=own.deadline_seconds or site.execution_deadline_seconds,
            max_calls=own.max_calls or site.execution_max_calls,
            max_tokens=own.max_tokens or site.execution_max_tokens,
            max_cost_usd=own.max_cost_usd if own.max_cost_usd is not None else site.execution_max_cost_usd,
            max_payload_bytes=_payload_bytes(own.max_payload_bytes),
            daily=tuple(daily),
        )

    @classmethod
    def from_json(cls, data: JsonObject) -> Self:
        cost = data["max_cost_usd"]
        return cls(
            deadline_seconds=int(str(data["deadline_seconds"])),
            max_calls=int(str(data["max_calls"])),
            max_tokens=int(str(data["max_tokens"])),
            max_cost_usd=None if cost is None else Decimal(str(cost)),
            # What was accepted before there was this limit keeps the site's; what has one keeps it, whatever the site
            # has come to allow since.
            max_payload_bytes=cast(int | None, data.get("max_payload_bytes")) or _payload_bytes(None),
            daily=tuple(cast(list[BudgetKind], data.get("daily") or [])),
        )

    def as_json(self) -> JsonObject:
        cost = self.max_cost_usd
        limits: JsonObject = {
            "deadline_seconds": self.deadline_seconds,
            "max_calls": self.max_calls,
            "max_tokens": self.max_tokens,
            "max_cost_usd": None if cost is None else str(cost),
            "max_payload_bytes": self.max_payload_bytes,
        }
        return limits | {"daily": list(self.daily)} if self.daily else limits

    def budget(self) -> Limits:
        return Limits(
            max_calls=self.max_calls,
            max_tokens=self.max_tokens,
            max_cost=self.max_cost_usd,
            max_payload_bytes=self.max_payload_bytes,
        )


def _payload_bytes(wanted: int | None) -> int:
    """What is asked for, else the site's default; never more than the site allows at all."""
    site = settings.ENVIRONMENT
    return min(wanted or site.execution_max_payload_bytes, site.execution_payload_ceiling_bytes)
