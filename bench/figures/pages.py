"""How long pages take to come, with as much in them as a busy site has: on PostgreSQL, over HTTP, signed in."""

from bench.measurement import Measurement
from bench.visits import p95_ms, signed_in
from orchestration_site.tests.sites import run_distributed_site

DEPLOYMENTS = 1_000
EXECUTIONS_OF_EACH = 20
VISITS = 27
ADDRESSES = ("/", "/?sort=last-run", "/?sort=name&page=20", "/?search=deployment-99", "/?status=active&sort=executions")
#: What makes them, within the site: over REST it would take minutes.
SEED = f"""
from datetime import timedelta
from django.utils import timezone
from deployments.models import Deployment, ExecutionLog
first = Deployment.objects.select_related("version").get(endpoint_path="/api/deployed/code-review")
rows = [
    Deployment(team_id=first.team_id, design_id=first.design_id, version_id=first.version_id,
               design_name=f"Deployment {{n}}", endpoint_path=f"/api/deployed/deployment-{{n}}", execution_count=n)
    for n in range({DEPLOYMENTS})
]
Deployment.objects.bulk_create(rows)
now = timezone.now()
ExecutionLog.objects.bulk_create([
    ExecutionLog(team_id=row.team_id, deployment=row, design_id=row.design_id, version_id=row.version_id,
                 status="failed" if n % 7 == 0 else "completed", trigger_type="api",
                 created_at=now - timedelta(minutes=n), completed_at=now, duration_ms=100 + n)
    for row in rows for n in range({EXECUTIONS_OF_EACH})
], batch_size=2000)
"""


def measure_pages(postgres_url: str, redis_url: str) -> list[Measurement]:
    """The p95 of the slowest of its addresses, in ms."""
    with run_distributed_site(postgres_url, redis_url) as site:
        site.run_manage("shell", "--command", SEED)
        with signed_in(site) as client:
            seen = {address: p95_ms(client, address, visits=VISITS) for address in ADDRESSES}
    return [Measurement(f"home page with {DEPLOYMENTS} deployments, p95", max(seen.values()), "ms", 300, details=seen)]
