"""What a deployment or an API key allows: the fields that clients set, whole or one by one."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from uuid import UUID

from django.conf import settings

from deployments.models import ApiKey, Deployment
from executor.errors import Problem


class InvalidLimits(ValueError):
    """The limits contradict each other; `problems` has pointers from the limits."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.message for problem in problems))


@dataclass(frozen=True)
class LimitFields:
    """The limits of a deployment; None means the site's default, or none.

    A rate is `rate_count` calls in `rate_seconds`. The daily ones are of all executions of a day (UTC) together.
    """

    rate_count: int | None = None
    rate_seconds: int | None = None
    max_concurrent: int | None = None
    when_full: Literal["queue", "reject"] = "queue"
    deadline_seconds: int | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost_usd: Decimal | None = None
    max_payload_bytes: int | None = None
    daily_max_tokens: int | None = None
    daily_max_cost_usd: Decimal | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> "LimitFields":
        return cls(**{name: getattr(deployment, name) for name in LIMIT_FIELDS})

    def put_on(self, deployment: Deployment) -> None:
        """Set the columns; the caller saves `LIMIT_FIELDS`. Raises `InvalidLimits`."""
        _check_rate(self.rate_count, self.rate_seconds)
        if self.max_payload_bytes != deployment.max_payload_bytes:  # it may be from when the site allowed more
            _check_payload(self.max_payload_bytes)
        for name in LIMIT_FIELDS:
            setattr(deployment, name, getattr(self, name))


@dataclass(frozen=True)
class KeyLimits:
    """The limits of an API key, over all that it opens; None means none. A day is one of UTC."""

    rate_count: int | None = None
    rate_seconds: int | None = None
    max_concurrent: int | None = None
    daily_max_executions: int | None = None
    daily_max_tokens: int | None = None
    daily_max_cost_usd: Decimal | None = None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyLimits":
        return cls(**{name: getattr(key, name) for name in KEY_LIMIT_FIELDS})

    def check(self) -> None:
        """Raises `InvalidLimits`."""
        _check_rate(self.rate_count, self.rate_seconds)

    @property
    def has_daily_budget(self) -> bool:
        return self.daily_max_tokens is not None or self.daily_max_cost_usd is not None


@dataclass(frozen=True)
class CallingKey:
    """The API key that asks for an execution, and what it allows."""

    id: UUID
    limits: KeyLimits


LIMIT_FIELDS = tuple(LimitFields.__dataclass_fields__)
KEY_LIMIT_FIELDS = tuple(KeyLimits.__dataclass_fields__)


def _check_payload(wanted: int | None) -> None:
    ceiling = settings.ENVIRONMENT.execution_payload_ceiling_bytes
    if wanted is not None and wanted > ceiling:
        message = (
            f"An execution of this site may hold {ceiling:,} bytes at most. Ask for no more, or have its operator raise"
            " EXECUTION_PAYLOAD_CEILING_BYTES."
        )
        raise InvalidLimits([Problem("/max_payload_bytes", "too_large", message)])


def _check_rate(count: int | None, seconds: int | None) -> None:
    if (count is None) != (seconds is None):
        missing = "/rate_seconds" if seconds is None else "/rate_count"
        raise InvalidLimits([Problem(missing, "required", "A rate needs both rate_count and rate_seconds.")])
