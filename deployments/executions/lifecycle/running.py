"""What a worker does to the executions that it runs. Each is a compare-and-set UPDATE whose row count decides."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, PositiveIntegerField, Value, When
from django.db.models.functions import Coalesce, Now

from deployments.alerts.outbox import write_alerts_of_ended
from deployments.executions.lifecycle.fence import (
    Ending,
    Fence,
    FenceLost,
    attempts,
    fenced,
    in_order,
    owner_of,
    row_of,
)
from deployments.executions.lifecycle.statements import (
    ADVANCE,
    CLAIM,
    COUNT_ENDED,
    FINISH,
    FORGIVE_LOSSES,
    INSERT_EVENTS,
    claimable,
    lease,
)
from deployments.models import Deployment, ExecutionEvent, ExecutionLog


def claim(seqs: Mapping[Fence, int], *, started_at: datetime) -> set[UUID]:
    """Take queued executions for this worker, with their new last sequence numbers; the ids of those that it got.

    A fence names the attempt that the claim begins. What another worker is just claiming is left to it; what is not
    queued any more, not due, past its deadline, cancelled, or over its deployment's limit, is not got. Raises
    `FenceLost` when rows change in between (a deadline passes): then try each alone.
    """
    claims = [
        {**row_of(fence), "attempt": fence.attempt - 1, "started_at": started_at, "seq": seq}
        for fence, seq in in_order(seqs)
    ]
    if CLAIM.run_each(claims) == len(claims):
        return {fence.execution_id for fence in seqs}
    got = set(fenced(seqs).values_list("id", flat=True))
    rest = {fence: seq for fence, seq in seqs.items() if fence.execution_id not in got}
    return got | (_claim_limited(rest, started_at) if rest else set())


def _claim_limited(seqs: Mapping[Fence, int], started_at: datetime) -> set[UUID]:
    """Of the executions of deployments that limit their concurrency, take those that fit."""
    open_rows = (
        ExecutionLog.objects.filter(claimable(), attempts(seqs, begun=1), is_limited=True, deployment__isnull=False)
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("id")
        .values_list("id", "deployment_id")
    )
    limited: dict[UUID, list[UUID]] = {}
    for execution_id, deployment_id in open_rows:
        if deployment_id is not None:
            limited.setdefault(deployment_id, []).append(execution_id)
    fitting = _within_concurrency(limited) if limited else []
    claimed = ExecutionLog.objects.filter(claimable(), id__in=fitting).update(
        status=ExecutionLog.Status.RUNNING,
        attempt=F("attempt") + 1,
        lease_owner=owner_of(seqs),
        lease_expires_at=lease(),
        started_at=Coalesce("started_at", Value(started_at)),
        next_run_at=None,
        seq=_new_seqs(seqs),
    )
    if claimed != len(fitting):
        raise FenceLost
    return set(fitting)


def advance(seqs: Mapping[Fence, int], *, progressed: Collection[UUID] = ()) -> bool:
    """Raise the last sequence numbers under the fence, which locks the rows, and renew the leases.

    False when any fence is lost.

    What has `progressed` (a call's result is recorded with it) is innocent of the losses before.

    This comes before any insert of events: PostgreSQL would let an INSERT … WHERE EXISTS through while the reaper's
    transaction is still open.
    """
    ordered = in_order(seqs)
    if ADVANCE.run_each({**row_of(fence), "seq": seq} for fence, seq in ordered) != len(ordered):
        return False
    FORGIVE_LOSSES.run_each(row_of(fence) for fence, _ in ordered if fence.execution_id in progressed)
    return True


def finish(endings: Mapping[Fence, tuple[int, Ending]]) -> bool:
    """End running executions, each with its last sequence number. False when any fence is lost."""
    rows = [{**row_of(fence), "seq": seq, **vars(ending)} for fence, (seq, ending) in in_order(endings)]
    return FINISH.run_each(rows) == len(rows)


def record(events: Sequence[ExecutionEvent]) -> None:
    """Insert events, after their executions were claimed, advanced or finished in the same transaction."""
    INSERT_EVENTS.insert(events)


class Ended(NamedTuple):
    """An execution of a deployment that has just ended."""

    execution_id: UUID
    deployment_id: UUID
    completed_at: datetime


def count_ended(ended: Iterable[Ended]) -> None:
    """Count ended executions on their deployments: one update each, in order of id, after all execution rows.

    And write down whom their deployments alert of them: every way to end an execution comes by here.
    """
    each_ended = list(ended)
    write_alerts_of_ended({one.execution_id: one.deployment_id for one in each_ended})
    by_deployment: dict[UUID, list[datetime]] = {}
    for one in each_ended:
        by_deployment.setdefault(one.deployment_id, []).append(one.completed_at)
    COUNT_ENDED.run_each(
        {"id": deployment_id, "execution_count": len(times), "last_execution_at": max(times)}
        for deployment_id, times in sorted(by_deployment.items())
    )


def lock_rows(executions: Collection[UUID], deployments: Collection[UUID]) -> None:
    """Lock these rows in the one order, for a transaction that goes on to change them in another."""
    rows = ExecutionLog.objects.filter(id__in=executions, status=ExecutionLog.Status.RUNNING)
    list(rows.select_for_update(of=("self",)).order_by("id").values_list("id"))
    if deployments:
        # Not against the foreign keys of executions that are being accepted.
        limited = Deployment.objects.filter(id__in=deployments).select_for_update(no_key=True)
        list(limited.order_by("id").values_list("id"))


def renew(fences: Iterable[Fence]) -> dict[UUID, str | None]:
    """Renew the leases that are still held, by the database's clock.

    The ids of those executions, each with who asked to cancel it, or None. An id that is missing was lost. A row that
    is locked is being written to: it keeps the lease that it has.
    """
    mine = list(fences)
    if not mine:
        return {}
    with transaction.atomic():
        free = fenced(mine).select_for_update(skip_locked=True, of=("self",)).order_by("id")
        ids = list(free.values_list("id", flat=True))
        fenced(mine).filter(id__in=ids).update(lease_expires_at=lease())
    rows = fenced(mine).values_list("id", "cancel_requested_at", "cancel_requested_by")
    return {execution_id: by if asked_at is not None else None for execution_id, asked_at, by in rows}


def held(fences: Iterable[Fence]) -> set[Fence]:
    """Of these fences, those that are held."""
    by_id = {fence.execution_id: fence for fence in fences}
    return {by_id[execution_id] for execution_id in fenced(by_id.values()).values_list("id", flat=True)}


def release(fence: Fence, seq: int) -> bool:
    """Give a running execution back to the queue, at once and without a loss: its worker is going away."""
    changed = fenced([fence]).update(
        status=ExecutionLog.Status.QUEUED, seq=seq, lease_owner="", lease_expires_at=None, dispatched_at=None
    )
    return changed == 1


def end_leases_of(owner: str) -> int:
    """Hold the executions of a worker that is known to be gone to be lost, without waiting for their leases."""
    running = ExecutionLog.objects.filter(status=ExecutionLog.Status.RUNNING, lease_owner=owner)
    return running.update(lease_expires_at=Now())


def _within_concurrency(limited: Mapping[UUID, list[UUID]]) -> list[UUID]:
    """Of the executions of limited deployments, the oldest that fit; counted under the deployment's lock."""
    fitting: list[UUID] = []
    deployments = Deployment.objects.filter(id__in=limited).select_for_update(no_key=True).order_by("id")
    for deployment_id, max_concurrent in deployments.values_list("id", "max_concurrent"):
        waiting = limited[deployment_id]
        if max_concurrent is None:
            fitting += waiting
            continue
        running = ExecutionLog.objects.filter(deployment_id=deployment_id, status=ExecutionLog.Status.RUNNING).count()
        fitting += waiting[: max(0, max_concurrent - running)]
    return fitting


def _new_seqs(seqs: Mapping[Fence, int]) -> Case | Value:
    if len(seqs) == 1:
        return Value(next(iter(seqs.values())))
    whens = (When(id=fence.execution_id, then=Value(seq)) for fence, seq in seqs.items())
    return Case(*whens, default=F("seq"), output_field=PositiveIntegerField())
