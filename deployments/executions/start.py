"""The one door through which every execution enters: endpoint, button, schedule, re-run and draft."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import uuid_utils.compat
from django.db import IntegrityError, transaction
from django.utils import timezone

from deployments.executions import lifecycle
from deployments.executions.admission import LimitReached, Quota, admit
from deployments.executions.limits import ExecutionLimits
from deployments.executions.publisher import publisher
from deployments.executions.reused import Rerun
from deployments.limits import CallingKey
from deployments.models import Deployment, ExecutionLog, IdempotencyKey
from deployments.telemetry import current_traceparent
from designs.models import DesignVersion
from executor.json_types import JsonObject
from rest.request_id import current_request_id

IDEMPOTENCY_LIFETIME = timedelta(hours=24)


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
    """The execution, and whether it is an earlier one that this request only repeats. `quotas`: what is left of those
    that it counted against.
    """

    execution: ExecutionLog
    replayed: bool
    quotas: tuple[Quota, ...] = ()


def start_execution(
    *,
    deployment: Deployment | None,
    version: DesignVersion,
    team_id: int,
    input_data: JsonObject,
    trigger_type: str,
    triggered_by: str,
    key: CallingKey | None = None,
    idempotency: Idempotency | None = None,
    rerun: Rerun | None = None,
    live_text: bool = False,
    publishes: bool = True,
) -> Started:
    """Accept an execution: once this returns it will reach a terminal state.

    A caller that first wants to listen for the end says `publishes=False` and calls `publish_accepted` then; should it
    never come to that, the dispatch sweep publishes a little later.

    `key` is the API key that asks for it, if one does: what that one allows holds beside the deployment's limits.

    Raises `LimitReached` and `IdempotencyConflict`, and `ParentGone` for a `rerun`; then nothing was accepted, and
    nothing of it counts.
    """
    now = timezone.now()
    limits = ExecutionLimits.of(deployment, key=key)
    execution = ExecutionLog(
        id=uuid_utils.compat.uuid7(),
        team_id=team_id,
        deployment=deployment,
        design_id=version.design_id,
        version=version,
        parent_id=None if rerun is None else rerun.parent_id,
        trigger_type=trigger_type,
        triggered_by=triggered_by,
        api_key_id=None if key is None else key.id,
        input_data=input_data,
        limits=limits.as_json(),
        is_limited=deployment is not None and deployment.max_concurrent is not None,
        live_text=live_text,
        traceparent=current_traceparent(),
        request_id=current_request_id() or "",
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
            quotas = admit(deployment, key, now=now)
            lifecycle.accept(execution, about=None if rerun is None else rerun.about())
            if rerun is not None:
                rerun.take_over(execution)
            _remember(execution, idempotency)
            if publishes:
                transaction.on_commit(partial(publish_accepted, execution.id))
    except (IntegrityError, LimitReached):
        # Two requests with one Idempotency-Key: the unique constraint let the other through, or that one had the last
        # place under a limit. This one repeats it.
        earlier = find_replay(deployment=deployment, idempotency=idempotency)
        if earlier is None:
            raise
        return Started(earlier, replayed=True)
    return Started(execution, replayed=False, quotas=quotas)


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
