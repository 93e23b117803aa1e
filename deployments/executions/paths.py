"""Which endpoint a deployment has, for what is logged and measured: an answer may be a minute old."""

import time
from uuid import UUID

from deployments.models import Deployment
from deployments.prepared_statements import PreparedRead

REMEMBER_SECONDS = 60.0
REMEMBERED = 1_000

_PATH = PreparedRead(Deployment, lambda slot: Deployment.objects.filter(id=slot("id")).only("endpoint_path"))
_known: dict[UUID, tuple[float, str]] = {}


def path_of(deployment_id: UUID | None) -> str:
    """The deployment's endpoint; empty for none, and for a draft's trial."""
    if deployment_id is None:
        return ""
    now = time.monotonic()
    known = _known.get(deployment_id)
    if known is not None and now - known[0] < REMEMBER_SECONDS:
        return known[1]
    row = _PATH.first(id=deployment_id)
    path = "" if row is None else row.endpoint_path
    if len(_known) >= REMEMBERED:
        _known.clear()  # to read them again costs less than to know which are the oldest
    _known[deployment_id] = (now, path)
    return path
