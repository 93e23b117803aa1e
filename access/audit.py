"""The audit: one record for whatever a person, a key or the system did to an object. Written here, and only added to.

A record is part of the transaction of what it tells of: neither is ever without the other.
"""

from collections.abc import Mapping
from typing import Any, Literal

from access.models import AuditRecord
from access.origin import current_caller, current_origin

Action = Literal[
    "signed_in",
    "sign_in_refused",
    "sign_in_slowed",
    "signed_out",
    "key.made",
    "key.rotated",
    "key.revoked",
    "design.created",
    "design.exported",
    "design.replaced",
    "design.deleted",
    "version.made",
    "provider.added",
    "provider.changed",
    "provider.removed",
    "deployment.deployed",
    "deployment.changed",
    "deployment.undeployed",
    "schedule.paused",
    "schedule.resumed",
    "execution.cancelled",
    "history.removed",
    "history.exported",
    "alert.added",
    "alert.changed",
    "alert.removed",
    "alert.secret_rotated",
    "alert.resent",
    "alert.tested",
    "alert.switched_off",
    "worker.drained",
    "worker.resumed",
    "admin.added",
    "admin.changed",
    "admin.deleted",
]
MAX_LABEL_CHARACTERS = 200


def record_action(
    action: Action,
    *,
    by: str,
    team_id: int | None,
    on: tuple[str, object],
    label: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add a record, in the caller's transaction. `on` is the kind of object and its id, `label` its name at the time.

    `details` are for people and hold no secret and no payload: names of fields, and what the object shows anyway.
    """
    origin, caller = current_origin(), current_caller()
    # The label alone may be another's by tomorrow; the ids say who it was. A request acts for its caller only.
    is_callers = caller is not None and caller.label == by
    kind, identity = on
    AuditRecord.objects.create(
        team_id=team_id,
        actor=by[:MAX_LABEL_CHARACTERS],
        user_id=caller.user_id if caller and is_callers else None,
        key_id=caller.key_id if caller and is_callers else None,
        action=action,
        object_type=kind,
        object_id=str(identity),
        object_label=label[:MAX_LABEL_CHARACTERS],
        details=dict(details or {}),
        way=origin.way,
        address=origin.address,
        request_id=origin.request_id,
    )
