"""`python -m bench.history_rows 100000`: fills a site's database with a history, as a month of work leaves it.

Prints nothing. The reader `member` (password `only for the bench`) belongs to the team and is no superuser.
"""

import os
import random
import sys
from datetime import datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestration_site.settings")
django.setup()

from django.contrib.auth.models import Permission, User  # noqa: E402 - Django has to be set up first
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from access.models import Team  # noqa: E402
from deployments.models import Deployment, ExecutionLog  # noqa: E402
from designs.models import DesignVersion  # noqa: E402

BATCH = 2_000
DAYS = 30
PASSWORD = "only for the bench"  # noqa: S105 - of a database that is thrown away
STATUSES = ("completed", "failed", "cancelled", "skipped")
SHARES = (93, 5, 1, 1)
#: After the first tenth nothing was skipped any more: who looks for it has to go far back.
LATER_SHARES = (94, 5, 1, 0)
RUNNING = 20
#: A version that there is, and that never ran.
UNUSED_VERSION = 78
LONG = "The quick brown fox jumps over the lazy dog. " * 20


def fill(count: int) -> None:
    """So many executions of the deployments that there are, over the last month."""
    deployments = list(Deployment.objects.select_related("version"))
    chance, now = random.Random(5), timezone.now()  # noqa: S311 - a history, no secret
    for begin in range(0, count, BATCH):
        rows = []
        for number in range(begin, min(begin + BATCH, count)):
            created_at = now - timedelta(seconds=DAYS * 86_400 * (1 - number / count))
            status = chance.choices(STATUSES, SHARES if number < count / 10 else LATER_SHARES)[0]
            rows.append(_row(chance, chance.choice(deployments), created_at, status))
        ExecutionLog.objects.bulk_create(rows)
    ExecutionLog.objects.bulk_create(_running(chance.choice(deployments), now) for _ in range(RUNNING))


def add_version() -> None:
    """A version that nothing runs."""
    latest = DesignVersion.objects.order_by("-created_at")[0]
    DesignVersion.objects.create(design_id=latest.design_id, number=UNUSED_VERSION, document=latest.document)


def _running(deployment: Deployment, now: datetime) -> ExecutionLog:
    """As if a worker elsewhere ran it, for as long as the bench takes."""
    return ExecutionLog(
        team_id=deployment.team_id,
        deployment=deployment,
        design_id=deployment.design_id,
        version=deployment.version,
        status="running",
        trigger_type="api",
        triggered_by="key:crm",
        lease_owner="elsewhere",
        lease_expires_at=now + timedelta(days=1),
        attempt=1,
        created_at=now,
        started_at=now,
    )


def _row(chance: random.Random, deployment: Deployment, created_at: datetime, status: str) -> ExecutionLog:
    duration_ms = chance.randrange(400, 90_000)
    failed = status == "failed"
    return ExecutionLog(
        team_id=deployment.team_id,
        deployment=deployment,
        design_id=deployment.design_id,
        version=deployment.version,
        status=status,
        trigger_type=chance.choice(("manual", "scheduled", "api", "api", "api")),
        triggered_by=chance.choice(("user:ann", "key:crm", "key:shop", "schedule")),
        input_data={"text": LONG[: chance.randrange(100, 900)]},
        result_data={"output": LONG, "blocks": {}} if status == "completed" else None,
        error=f"Block 'Answer' failed: the provider answered {chance.choice((429, 500, 503))}." if failed else "",
        error_code="provider_error" if failed else "",
        reason="overlap" if status == "skipped" else "",
        usage={"calls": 3, "input_tokens": 900, "output_tokens": 400, "estimated": False},
        cost="0.0123",
        created_at=created_at,
        started_at=created_at,
        completed_at=created_at + timedelta(milliseconds=duration_ms),
        duration_ms=duration_ms,
    )


def settle() -> None:
    """What the database does by itself in the course of a month: statistics, and the map of what all may see."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def make_member() -> None:
    """Somebody who sees what the default team has."""
    team = Team.default()
    team.permissions.add(*Permission.objects.filter(codename="view_objects"))
    User.objects.create_user("member", password=PASSWORD).groups.add(team)


if __name__ == "__main__":
    make_member()
    add_version()
    fill(int(sys.argv[1]))
    settle()
