"""One batch: a short transaction that locks some executions nobody is at, and removes what is beyond their period.

An execution is done whole or not at all: its events go in the transaction that says so of its row. Rows that somebody
holds are left for the next time, so that nobody waits for this, and this waits for nobody.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from deployments.alerts.payloads import without_result
from deployments.days import day_of
from deployments.models import AlertDelivery, ExecutionEvent, ExecutionLog, RetentionTally
from deployments.models.execution import TERMINAL_STATUSES, ExecutionLogQuerySet
from deployments.retention.cutoffs import (
    Cutoff,
    Scope,
    counted_by_schedule,
    executions_to_remove,
    payloads_to_remove,
)

What = Literal["payloads", "executions"]
#: Rows that one step looks at, and what of them one transaction removes at most: executions, and their events.
LOOKED_AT: Final = 1_000
ROWS_AT_ONCE: Final = 200
EVENTS_AT_ONCE: Final = 2_000


@dataclass(frozen=True)
class Place:
    """How far a walk through the history, from the oldest on, has come."""

    created_at: datetime
    id: UUID

    @property
    def newer(self) -> Q:
        return Q(created_at__gte=self.created_at) & (Q(created_at__gt=self.created_at) | Q(id__gt=self.id))


@dataclass(frozen=True)
class Step:
    """What one step has removed, and where the next one begins; `place` None says that the walk is at its end."""

    removed: int
    place: Place | None


@dataclass(frozen=True)
class Walk:
    """One scope's way from its oldest execution to the cutoff. `kept_ids` stay whatever their age."""

    scope: Scope
    what: What
    cutoff: Cutoff
    kept_ids: tuple[UUID, ...]

    def step(self, after: Place | None) -> Step:
        """Remove what is next, in one transaction if there is anything."""
        looked_at = self._look(after)
        wanted, last = _choose(looked_at, self._is_wanted)
        removed = self._remove([row.id for row in wanted]) if wanted else 0
        if removed is None:
            return Step(0, None)
        is_end = len(looked_at) < LOOKED_AT and (not looked_at or last == _place(looked_at[-1]))
        return Step(removed, None if is_end else last)

    def _look(self, after: Place | None) -> Sequence[ExecutionLog]:
        rows = self.scope.rows.filter(self.cutoff.older)
        if after is not None:
            rows = rows.filter(after.newer)
        return list(
            rows.only("created_at", "status", "seq", "payload_removed_at").order_by("created_at", "id")[:LOOKED_AT]
        )

    def _is_wanted(self, row: ExecutionLog) -> bool:
        is_done = self.what == "payloads" and row.payload_removed_at is not None
        return row.status in TERMINAL_STATUSES and not is_done and row.id not in self.kept_ids

    def _remove(self, ids: Sequence[UUID]) -> int | None:
        """How many went; None when this is no longer the period that is in force."""
        rows = ExecutionLog.objects.filter(id__in=ids)
        with transaction.atomic():
            if not self.scope.is_in_force():
                return None
            if self.what == "payloads":
                locked = _lock(payloads_to_remove(rows))
                self._remove_payloads(list(locked))
            else:
                schedules = counted_by_schedule(self.scope.deployment_id)
                locked = _lock(executions_to_remove(rows, schedules=schedules))
                _remove_executions(list(locked))
            _tally(self.scope.owner_id, self.what, Counter(locked.values()))
        return len(locked)

    def _remove_payloads(self, ids: Sequence[UUID]) -> None:
        _forget_results(ids)
        ExecutionEvent.objects.filter(execution_id__in=ids).delete()
        ExecutionLog.objects.filter(id__in=ids).update(
            input_data={},
            result_data=None,
            payload_removed_at=timezone.now(),
            payload_removed_why=self.cutoff.why,
        )


def _choose(
    rows: Sequence[ExecutionLog], is_wanted: Callable[[ExecutionLog], bool]
) -> tuple[list[ExecutionLog], Place | None]:
    """As many as one transaction removes, and the last row that was looked at for it."""
    chosen: list[ExecutionLog] = []
    events, last = 0, None
    for row in rows:
        if is_wanted(row):
            if len(chosen) == ROWS_AT_ONCE or (chosen and events + row.seq > EVENTS_AT_ONCE):
                break
            chosen.append(row)
            events += row.seq
        last = _place(row)
    return chosen, last


def _place(row: ExecutionLog) -> Place:
    return Place(row.created_at, row.id)


def _lock(rows: ExecutionLogQuerySet) -> dict[UUID, int]:
    """The ids of those that nobody else is at, with their teams."""
    locked = rows.select_for_update(skip_locked=True, of=("self",)).order_by("id").values_list("id", "team_id")
    return dict(locked)


def _forget_results(ids: Sequence[UUID]) -> None:
    """What alerts were told of results goes with the results. Their log stays."""
    for delivery in AlertDelivery.objects.filter(execution_id__in=ids).only("payload"):
        if (told := without_result(delivery.payload)) is not delivery.payload:
            AlertDelivery.objects.filter(id=delivery.id).update(payload=told)


def _remove_executions(ids: Sequence[UUID]) -> None:
    _forget_results(ids)
    # With their events and spent Idempotency-Keys, as the models say; re-runs of them stay, without the reference.
    ExecutionLog.objects.filter(id__in=ids).only("id").delete()


def _tally(owner_id: UUID, what: What, by_team: Counter[int]) -> None:
    """Count it for the day's record in the audit, in the transaction that does it."""
    day = day_of(timezone.now())
    # Sorted, for of drafts one batch has several teams': two workers lock them in the same order.
    for team_id, count in sorted(by_team.items()):
        tally = RetentionTally.objects.filter(day=day, owner_id=owner_id, team_id=team_id)
        changes = {what: F(what) + count}
        if tally.update(**changes):
            continue
        new = RetentionTally(day=day, owner_id=owner_id, team_id=team_id)
        RetentionTally.objects.bulk_create([new], ignore_conflicts=True)
        tally.update(**changes)


def walks_of(scopes: Iterable[Scope], now: datetime) -> list[Walk]:
    """What there is to do, payloads before rows."""
    walks: list[Walk] = []
    for scope in scopes:
        bounds: tuple[tuple[What, Cutoff | None], ...] = (
            ("payloads", scope.cutoff(scope.policy.payloads, now)),
            ("executions", scope.cutoff(scope.policy.history, now)),
        )
        if any(cutoff is not None for _, cutoff in bounds):
            kept = tuple(scope.kept_ids())
            walks += [Walk(scope, what, cutoff, kept) for what, cutoff in bounds if cutoff is not None]
    return walks
