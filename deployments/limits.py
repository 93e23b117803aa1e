"""What a deployment allows: the fields that clients set, whole or one by one. Null means the site's default."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from deployments.models import Deployment
from executor.errors import Problem


class InvalidLimits(ValueError):
    """The limits contradict each other; `problems` has pointers from the limits."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.message for problem in problems))


@dataclass(frozen=True)
class LimitFields:
    """The limits of a deployment. A rate is `rate_count` calls in `rate_seconds`."""

    rate_count: int | None = None
    rate_seconds: int | None = None
    max_concurrent: int | None = None
    when_full: Literal["queue", "reject"] = "queue"
    deadline_seconds: int | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost_usd: Decimal | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> "LimitFields":
        return cls(**{name: getattr(deployment, name) for name in LIMIT_FIELDS})

    def put_on(self, deployment: Deployment) -> None:
        """Set the columns; the caller saves `LIMIT_FIELDS`. Raises `InvalidLimits`."""
        if (self.rate_count is None) != (self.rate_seconds is None):
            missing = "/rate_seconds" if self.rate_seconds is None else "/rate_count"
            raise InvalidLimits([Problem(missing, "required", "A rate needs both rate_count and rate_seconds.")])
        for name in LIMIT_FIELDS:
            setattr(deployment, name, getattr(self, name))


LIMIT_FIELDS = tuple(LimitFields.__dataclass_fields__)
