"""What a worker must still hold to change an execution, and how an execution ends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Literal, TypeVar
from uuid import UUID

from django.db.models import Q, QuerySet

from deployments.models import ExecutionLog
from executor.json_types import JsonObject

T = TypeVar("T")


class FenceLost(Exception):
    """The execution is not this attempt's any more (or never became so): nothing of the write was kept."""


@dataclass(frozen=True)
class Fence:
    """What a worker must still hold to write: this attempt of this execution, under its own name."""

    execution_id: UUID
    attempt: int
    owner: str


@dataclass(frozen=True)
class Ending:
    """How an execution ends, with everything that its row shows afterwards."""

    status: Literal["completed", "failed", "cancelled"]
    completed_at: datetime
    duration_ms: int
    result_data: JsonObject | None = None
    error: str = ""
    error_code: str = ""
    error_detail: JsonObject = field(default_factory=dict)
    usage: JsonObject | None = None
    cost: Decimal | None = None


def in_order(by_fence: Mapping[Fence, T]) -> list[tuple[Fence, T]]:
    return sorted(by_fence.items(), key=lambda item: item[0].execution_id)


def row_of(fence: Fence) -> dict[str, object]:
    return {"id": fence.execution_id, "attempt": fence.attempt, "lease_owner": fence.owner}


def fenced(fences: Iterable[Fence]) -> QuerySet[ExecutionLog]:
    held = list(fences)
    return ExecutionLog.objects.filter(attempts(held), status=ExecutionLog.Status.RUNNING, lease_owner=owner_of(held))


def attempts(fences: Iterable[Fence], *, begun: int = 0) -> Q:
    """The rows of these fences at their attempt, or at the one before (`begun=1`), one IN list for each attempt."""
    by_attempt: dict[int, list[UUID]] = {}
    for fence in fences:
        by_attempt.setdefault(fence.attempt - begun, []).append(fence.execution_id)
    return reduce(or_, (Q(attempt=attempt, id__in=ids) for attempt, ids in by_attempt.items()))


def owner_of(fences: Iterable[Fence]) -> str:
    (owner,) = {fence.owner for fence in fences}
    return owner
