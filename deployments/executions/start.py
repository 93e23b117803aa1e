"""The one door through which every execution enters: endpoint, button, schedule, re-run and draft."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import uuid_utils.compat
from django.db import IntegrityError, transaction
from django.utils import timezone

from deployments.executions import lifecycle
from deployments.executions.limits import ExecutionLimits
from deployments.executions.publisher import publisher
from deployments.executions.reused import Rerun
from deployments.models import Deployment, ExecutionLog, IdempotencyKey
from designs.models import DesignVersion
from executor.json_types import JsonObject

IDEMPOTENCY_LIFETIME = timedelta(hours=24)
RETRY_AFTER_SECONDS = 1


class ConcurrencyLimitReached(Exception):
    """The deployment runs as many executions as it may, and rejects more. `retry_after` is in seconds."""

    def __init__(self, limit: int, retry_after: int) -> None:
        self.limit = limit
        self.retry_after = retry_after
        super().__init__(f"This deployment runs at most {limit} executions at once.")


class IdempotencyConflict(Exception):
    """The key was used before, with another body."""


@dataclass(frozen=True)
class Idempotency:
    """A caller's key for one request; `principal` says whose it is, `body_hash` is the SHA-256 of the input."""

    principal: str
    key: str
    body_hash: str


@dataclass(frozen=True)
class Started:
    """The execution, and whether it is an earlier one that this request only repeats."""

    execution: ExecutionLog
    replayed: bool


def start_execution(
    *,
    deployment: Deployment | None,
    version: DesignVersion,
    team_id: int,
    input_data: JsonObject,
    trigger_type: str,
    triggered_by: str,
    idempotency: Idempotency | None = None,
    rerun: Rerun | None = None,
    live_text: bool = False,
    publishes: bool = True,
) -> Started:
    """Accept an execution: once this returns it will reach a terminal state.

    A caller that first wants to listen for the end says `publishes=False` and calls `publish_accepted` then; should it
    never come to that, the dispatch sweep publishes a little later.

    Raises `ConcurrencyLimitReached` and `IdempotencyConflict`, and `ParentGone` for a `rerun`; then nothing was
    accepted.
    """
    now = timezone.now()
    limits = ExecutionLimits.of(deployment)
    execution = ExecutionLog(
        id=uuid_utils.compat.uuid7(),
        team_id=team_id,
        deployment=deployment,
        design_id=version.design_id,
        version=version,
        parent_id=None if rerun is None else rerun.parent_id,
        trigger_type=trigger_type,
        triggered_by=triggered_by,
        input_data=input_data,
        limits=limits.as_json(),
        is_limited=deployment is not None and deployment.max_concurrent is not None,
        live_text=live_text,
        created_at=now,
        dispatched_at=now,
        # By the clock of the process that accepts, and held against the database's: clocks that differ make a deadline
        # longer or shorter by as much, and nothing else.
        deadline_at=now + timedelta(seconds=limits.deadline_seconds),
    )
    try:
        with transaction.atomic():
            if rerun is not None:
                rerun.hold_parent()  # executions are locked before deployments
            _refuse_when_full(deployment)
            lifecycle.accept(execution, about=None if rerun is None else rerun.about())
            if rerun is not None:
                rerun.take_over(execution)
            _remember(execution, idempotency)
            if publishes:
                transaction.on_commit(partial(publish_accepted, execution.id))
    except IntegrityError:
        # Two requests with one key: the unique constraint let the other through, and this one repeats it.
        earlier = find_replay(deployment=deployment, idempotency=idempotency)
        if earlier is None:
            raise
        return Started(earlier, replayed=True)
    return Started(execution, replayed=False)


def publish_accepted(execution_id: UUID) -> None:
    """Tell the workers of an execution that was just accepted. Returns at once."""
    publisher.publish(execution_id, 0)


def find_replay(*, deployment: Deployment | None, idempotency: Idempotency | None) -> ExecutionLog | None:
    """The execution that this key stands for already. Raises `IdempotencyConflict` when its body was another."""
    if deployment is None or idempotency is None:
        return None
    known = (
        IdempotencyKey.objects.select_related("execution")
        .filter(principal=idempotency.principal, deployment=deployment, key=idempotency.key)
        .filter(expires_at__gt=timezone.now())
        .first()
    )
    if known is None:
        return None
    if known.body_hash != idempotency.body_hash:
        raise IdempotencyConflict("This Idempotency-Key was used with another body. Use a new key for a new request.")
    return known.execution


def _refuse_when_full(deployment: Deployment | None) -> None:
    if deployment is None or deployment.max_concurrent is None or deployment.when_full != Deployment.WhenFull.REJECT:
        return
    # Under the deployment's lock the count is exact over any number of processes. It is none against foreign keys: a
    # beat that inserts executions of many deployments must not wait for one caller.
    locked = Deployment.objects.select_for_update(no_key=True)
    limit = locked.values_list("max_concurrent", flat=True).get(id=deployment.id)
    if limit is None:
        return
    if ExecutionLog.objects.filter(deployment=deployment).unfinished().count() >= limit:
        raise ConcurrencyLimitReached(limit, RETRY_AFTER_SECONDS)


def _remember(execution: ExecutionLog, idempotency: Idempotency | None) -> None:
    if idempotency is None or execution.deployment is None:
        return
    known = IdempotencyKey.objects.filter(
        principal=idempotency.principal, deployment=execution.deployment, key=idempotency.key
    )
    known.filter(expires_at__lte=execution.created_at).delete()
    IdempotencyKey.objects.create(
        principal=idempotency.principal,
        deployment=execution.deployment,
        key=idempotency.key,
        body_hash=idempotency.body_hash,
        execution=execution,
        expires_at=execution.created_at + IDEMPOTENCY_LIFETIME,
    )
