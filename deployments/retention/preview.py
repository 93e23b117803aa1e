"""What would go if something else were kept, counted before anybody saves it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q

from deployments.models.execution import ExecutionLogQuerySet
from deployments.retention.cutoffs import Scope, counted_by_schedule, executions_to_remove, payloads_to_remove

#: More are not counted: it is known by then that it is very many.
MOST_COUNTED: Final = 100_000


@dataclass(frozen=True)
class Removable:
    """So many executions would go whole, and of so many others the payload. `is_at_least`: not all were counted."""

    payloads: int
    executions: int

    @property
    def is_at_least(self) -> bool:
        return MOST_COUNTED in (self.payloads, self.executions)


def count_removable(scope: Scope, *, now: datetime) -> Removable:
    """What retention would remove now by this policy."""
    rows = scope.rows.exclude(id__in=scope.kept_ids())
    going, of_history = Q(pk__in=[]), scope.cutoff(scope.policy.history, now)
    executions = 0
    if of_history is not None:
        going = of_history.older
        schedules = counted_by_schedule(scope.deployment_id)
        executions = _count(executions_to_remove(rows.filter(going), schedules=schedules))
    of_payloads = scope.cutoff(scope.policy.payloads, now)
    if of_payloads is None:
        return Removable(0, executions)
    return Removable(_count(payloads_to_remove(rows.filter(of_payloads.older).exclude(going))), executions)


def _count(rows: ExecutionLogQuerySet) -> int:
    return rows.order_by()[:MOST_COUNTED].count()
