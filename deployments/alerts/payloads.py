"""What alerts say. Ids, status, error, cost and a link; inputs never, and the result only where it is asked for."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings

from deployments.models import Deployment
from deployments.money import money_text
from executor.json_types import JsonObject

#: A result that is longer as JSON is left out: receivers are to be sent small things.
MAX_RESULT_CHARACTERS: Final = 20_000
MAX_ERROR_CHARACTERS: Final = 2_000
#: What of an execution's row and its parents a payload is made of.
EXECUTION_COLUMNS: Final = (
    "id",
    "deployment_id",
    "deployment__endpoint_path",
    "deployment__design_name",
    "version__number",
    "status",
    "trigger_type",
    "triggered_by",
    "scheduled_for",
    "created_at",
    "started_at",
    "completed_at",
    "duration_ms",
    "error_code",
    "error",
    "error_detail",
    "cost",
)


def execution_payload(
    event: str, row: Mapping[str, Any], *, result: Any = None, has_result: bool = False
) -> JsonObject:
    """Of an execution that has ended; `row` holds `EXECUTION_COLUMNS`."""
    detail = row["error_detail"] or {}
    data: JsonObject = {
        "execution_id": str(row["id"]),
        "deployment_id": str(row["deployment_id"]),
        "endpoint_path": row["deployment__endpoint_path"],
        "design_name": row["deployment__design_name"],
        "version": row["version__number"],
        "status": row["status"],
        "trigger_type": row["trigger_type"],
        "triggered_by": row["triggered_by"],
        "scheduled_for": _instant(row["scheduled_for"]),
        "created_at": _instant(row["created_at"]),
        "started_at": _instant(row["started_at"]),
        "completed_at": _instant(row["completed_at"]),
        "duration_ms": row["duration_ms"],
        "error_code": row["error_code"],
        "error": row["error"][:MAX_ERROR_CHARACTERS],
        "block_id": detail.get("block_id"),
        "agent": detail.get("agent"),
        "cost": None if row["cost"] is None else money_text(row["cost"]),
        "url": link_to(f"/executions/{row['id']}"),
    }
    if has_result:
        is_short = len(json.dumps(result, ensure_ascii=False)) <= MAX_RESULT_CHARACTERS
        data |= {"result": result if is_short else None, "result_left_out": not is_short}
    return payload(event, row["completed_at"], data)


def deployment_payload(event: str, at: datetime, deployment: Deployment, **more: Any) -> JsonObject:
    """Of what happened to a deployment, or to one of its targets."""
    data: JsonObject = {
        "deployment_id": str(deployment.id),
        "endpoint_path": deployment.endpoint_path,
        "design_name": deployment.design_name,
        **more,
        "url": link_to(f"/deployments/{deployment.id}/history"),
    }
    return payload(event, at, data)


def payload(event: str, at: datetime, data: JsonObject) -> JsonObject:
    return {"type": event, "timestamp": _instant(at), "data": data}


def without_result(told: JsonObject) -> JsonObject:
    """The same for who may not see results, and for when there is none to be seen any more."""
    data = told.get("data")
    if not isinstance(data, dict) or "result" not in data:
        return told
    return told | {"data": data | {"result": None, "result_left_out": True}}


def link_to(path: str) -> str:
    """An address that people can open; the path alone where the site does not know its own name."""
    return settings.ENVIRONMENT.site_url.rstrip("/") + path


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
