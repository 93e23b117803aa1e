"""What is to be told is written here, in the transaction of what it tells of: neither is ever without the other."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone

from deployments.alerts.payloads import EXECUTION_COLUMNS, deployment_payload, execution_payload
from deployments.days import day_of
from deployments.executions.publisher import publisher
from deployments.models import AlertDelivery, AlertTarget, Deployment, ExecutionLog
from deployments.models.alert import SWITCHED_OFF_EVENT, TEST_EVENT
from deployments.prepared_statements import PreparedRead
from executor.json_types import JsonObject

#: The code of executions that a day's budget has ended.
BUDGET_CODE = "daily_budget_exceeded"

#: Asked at every end of an execution; most deployments have no target.
_ANY_TARGET = PreparedRead(
    AlertTarget,
    lambda slot: AlertTarget.objects.filter(deployment=slot("deployment"), enabled=True, deleted_at=None).only("id"),
)


def write_alerts_of_ended(ended: Mapping[UUID, UUID]) -> None:
    """Of executions that have just ended, by id, each with its deployment's; in the transaction that ends them."""
    alerting = {each for each in set(ended.values()) if _ANY_TARGET.first(deployment=each) is not None}
    if not alerting:
        return
    targets = _targets_of(alerting)
    columns = [*EXECUTION_COLUMNS, *(["result_data"] if any(each.includes_result for each in targets) else [])]
    told = [execution_id for execution_id, deployment_id in ended.items() if deployment_id in alerting]
    rows = ExecutionLog.objects.filter(id__in=told).order_by("completed_at", "id").values(*columns)
    _write([made for row in rows for target in targets for made in _deliveries_of(target, row)])


def write_schedule_paused(deployment: Deployment, *, reason: str, at: datetime) -> None:
    """A schedule has paused itself; in the transaction that does it."""
    told = deployment_payload("schedule.paused", at, deployment, reason=reason)
    targets = [target for target in _targets_of([deployment.id]) if "schedule.paused" in target.events]
    _write([_delivery(target, told) for target in targets])


def write_switched_off(switched_off: AlertTarget, *, reason: str, at: datetime) -> None:
    """A target was switched off, which its deployment's other targets are told, whatever they have chosen."""
    about = {"target_id": str(switched_off.id), "kind": switched_off.kind, "reason": reason}
    told = deployment_payload(SWITCHED_OFF_EVENT, at, switched_off.deployment, **about)
    others = [each for each in _targets_of([switched_off.deployment_id]) if each.id != switched_off.id]
    _write([_delivery(target, told) for target in others])


def write_test(target: AlertTarget) -> AlertDelivery:
    """Something harmless for one target, at once."""
    sentence = "This is a test. Alerts of this deployment arrive here."
    told = deployment_payload(TEST_EVENT, timezone.now(), target.deployment, message=sentence)
    delivery = _delivery(target, told)
    delivery.next_try_at = delivery.created_at
    _write([delivery])
    return delivery


def _targets_of(deployment_ids: Iterable[UUID]) -> list[AlertTarget]:
    """Without their secrets, which nobody needs before something is sent."""
    return list(AlertTarget.objects.present().sealed().filter(deployment_id__in=list(deployment_ids), enabled=True))


def _deliveries_of(target: AlertTarget, row: Mapping[str, Any]) -> list[AlertDelivery]:
    if target.deployment_id != row["deployment_id"]:
        return []
    made = []
    event = f"execution.{row['status']}"
    if event in target.events:
        result = (row["result_data"] or {}).get("output") if target.includes_result else None
        told = execution_payload(event, row, result=result, has_result=target.includes_result)
        made.append(_delivery(target, told, execution_id=row["id"]))
    if row["error_code"] == BUDGET_CODE and "budget.exhausted" in target.events:
        delivery = _delivery(target, execution_payload("budget.exhausted", row), execution_id=row["id"])
        # Once a day: what the budget ends after the first finds this id taken.
        delivery.id = uuid5(target.id, f"budget.exhausted {day_of(row['completed_at'])}")
        made.append(delivery)
    return made


def _delivery(target: AlertTarget, told: JsonObject, *, execution_id: UUID | None = None) -> AlertDelivery:
    now = timezone.now()
    is_quiet = target.quiet_until is not None and target.quiet_until > now
    return AlertDelivery(
        target_id=target.id,
        event=str(told["type"]),
        execution_id=execution_id,
        payload=told,
        created_at=now,
        next_try_at=target.quiet_until if is_quiet else now,
    )


def _write(deliveries: Sequence[AlertDelivery]) -> None:
    if deliveries:
        AlertDelivery.objects.bulk_create(deliveries, batch_size=500, ignore_conflicts=True)
        transaction.on_commit(publisher.publish_alerts)
