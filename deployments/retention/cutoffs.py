"""Where what is kept begins, and what stays although it is older."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from deployments.models import DailyCharge, Deployment, ExecutionLog, ScheduleConfig
from deployments.models.execution import NEWEST_FIRST, TERMINAL_STATUSES, UNFINISHED_STATUSES, ExecutionLogQuerySet
from deployments.retention.policy import RETENTION_FIELDS, Bound, Policy, RetentionFields

#: Nothing younger goes, however few are kept. For that long an Idempotency-Key stands for its execution and its result,
#: and a clock that is set back, or a stock beat, must find the row of a scheduled time that was fired.
FRESH: Final = timedelta(hours=25)
#: The owner of the tallies of what has no deployment.
DRAFTS: Final = UUID(int=0)


@dataclass(frozen=True)
class Cutoff:
    """What is older than this moment, and at the same moment has a smaller id, is beyond the period `why` names."""

    created_at: datetime
    id: UUID | None
    why: str

    @property
    def older(self) -> Q:
        if self.id is None:
            return Q(created_at__lt=self.created_at)
        # The first condition is what the index can seek by.
        return Q(created_at__lte=self.created_at) & (Q(created_at__lt=self.created_at) | Q(id__lt=self.id))


@dataclass(frozen=True)
class Scope:
    """The executions that one policy is about: a deployment's, or those of all drafts."""

    deployment_id: UUID | None
    policy: Policy

    @classmethod
    def of(cls, deployment: Deployment, own: RetentionFields | None = None) -> "Scope":
        """As it is, or as it would be with these fields."""
        return cls(deployment.id, Policy.of(own or RetentionFields.of(deployment)))

    def is_in_force(self) -> bool:
        """Whether the deployment has this policy still: whoever lengthens a period keeps from then on what is there."""
        if self.deployment_id is None:
            return True
        now = Deployment.objects.only(*RETENTION_FIELDS).get(id=self.deployment_id)
        return Scope.of(now).policy == self.policy

    @property
    def rows(self) -> ExecutionLogQuerySet:
        if self.deployment_id is None:
            return ExecutionLog.objects.filter(deployment__isnull=True)
        return ExecutionLog.objects.filter(deployment_id=self.deployment_id)

    @property
    def owner_id(self) -> UUID:
        return self.deployment_id or DRAFTS

    def cutoff(self, bound: Bound, now: datetime) -> Cutoff | None:
        """Where what is kept begins; None where nothing is beyond it."""
        cutoffs = [self._by_age(bound.days, now), self._by_count(bound.last)]
        found = max((each for each in cutoffs if each is not None), key=lambda each: each.created_at, default=None)
        if found is None:
            return None
        fresh = now - FRESH
        return found if found.created_at < fresh else Cutoff(fresh, None, found.why)

    def _by_age(self, days: int | None, now: datetime) -> Cutoff | None:
        if days is None:
            return None
        return Cutoff(now - timedelta(days=days), None, f"after {days:,} day{'' if days == 1 else 's'}")

    def _by_count(self, last: int | None) -> Cutoff | None:
        if last is None:
            return None
        kept = list(self.rows.order_by(*NEWEST_FIRST).values_list("created_at", "id")[last - 1 : last])
        if not kept:
            return None
        newer = "a newer one" if last == 1 else f"{last:,} newer ones"
        created_at, execution_id = kept[0]
        return Cutoff(created_at, execution_id, f"after {newer}")

    def kept_ids(self) -> list[UUID]:
        """The latest success of a deployment stays with all that it made, however old."""
        if self.deployment_id is None:
            return []
        completed = self.rows.filter(status=ExecutionLog.Status.COMPLETED)
        return list(completed.order_by(*NEWEST_FIRST).values_list("id", flat=True)[:1])


def payloads_to_remove(rows: ExecutionLogQuerySet) -> ExecutionLogQuerySet:
    """Those of the rows whose payload may go: they have ended, and what they used is settled."""
    ended = rows.filter(status__in=TERMINAL_STATUSES, payload_removed_at__isnull=True)
    return ended.filter(~Exists(DailyCharge.objects.filter(execution=OuterRef("pk"))))


def executions_to_remove(rows: ExecutionLogQuerySet, *, schedules: Q) -> ExecutionLogQuerySet:
    """Those of the rows that may go: they have ended, are settled, and no re-run of them is on its way."""
    ended = rows.filter(status__in=TERMINAL_STATUSES).exclude(schedules)
    reruns = ExecutionLog.objects.filter(parent=OuterRef("pk"), status__in=UNFINISHED_STATUSES)
    return ended.filter(~Exists(DailyCharge.objects.filter(execution=OuterRef("pk"))), ~Exists(reruns))


def counted_by_schedule(deployment_id: UUID | None) -> Q:
    """The last executions of a schedule that pauses itself after so many failures: it counts them in the history."""
    nothing = Q(pk__in=[])
    if deployment_id is None:
        return nothing
    schedule = ScheduleConfig.objects.filter(deployment_id=deployment_id).first()
    if schedule is None or schedule.pause_after_failures is None:
        return nothing
    ended = ExecutionLog.objects.filter(schedule_id=schedule.id, status__in=("completed", "failed"))
    place = schedule.pause_after_failures - 1
    times = list(ended.order_by("-scheduled_for").values_list("scheduled_for", flat=True)[place : place + 1])
    since = Q(scheduled_for__gte=times[0]) if times else Q()
    return Q(schedule_id=schedule.id) & since
