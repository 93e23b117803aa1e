"""A million executions in PostgreSQL, made by the database itself; and what is timed within a process of the site.

`python -m bench.retention_rows fill 1000000 100000`: so many executions over 30 days, the oldest of them with events.
`python -m bench.retention_rows time`: the claim and the sweeps, p95 and median in ms, as JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestration_site.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402 - Django has to be set up first
from django.utils import timezone  # noqa: E402

from bench.history_rows import add_version, make_member, settle  # noqa: E402
from bench.measurement import percentile  # noqa: E402
from deployments.executions import lifecycle  # noqa: E402
from deployments.executions.daily_use import settle_ended  # noqa: E402
from deployments.executions.dispatch import dispatch_due  # noqa: E402
from deployments.executions.lifecycle import Fence  # noqa: E402
from deployments.models import Deployment, ExecutionEvent, ExecutionLog  # noqa: E402
from deployments.tests.builders import make_queued  # noqa: E402

EVENTS = 5
TIMES = 40
#: Ids as the site makes them: UUIDs of version 7, in the order of their times.
UUID7 = """(lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '7' || substr(md5({seed}), 1, 3) || '8'
    || substr(md5({seed}), 5, 15))::uuid"""
EXECUTIONS = f"""
INSERT INTO deployments_executionlog (
    id, team_id, deployment_id, design_id, version_id, status, trigger_type, triggered_by, input_data, result_data,
    error, error_code, error_detail, reason, usage, cost, limits, live_text, attempt, losses, lease_owner,
    cancel_requested_by, is_limited, waits_for_previous, seq, created_at, started_at, completed_at, duration_ms)
SELECT {UUID7.format(at="made.at", seed="n::text")}, d.team_id, d.id, d.design_id, d.version_id,
    CASE WHEN n %% 20 = 0 THEN 'failed' ELSE 'completed' END,
    (ARRAY['manual', 'scheduled', 'api', 'api', 'api'])[1 + n %% 5],
    (ARRAY['user:ann', 'key:crm', 'key:shop', 'schedule'])[1 + n %% 4],
    json_build_object('text', repeat('The quick brown fox jumps over the lazy dog. ', (n %% 20)::int)),
    json_build_object('output', repeat(md5(n::text), 20), 'blocks', json_build_object()),
    CASE WHEN n %% 20 = 0 THEN 'Block ''Answer'' failed: the provider answered 503.' ELSE '' END,
    CASE WHEN n %% 20 = 0 THEN 'provider_error' ELSE '' END, '{{}}', '',
    '{{"calls": 3, "input_tokens": 900, "output_tokens": 400, "estimated": false}}', 0.0123, '{{}}', false, 1, 0, '',
    '', false, false, CASE WHEN n < %s THEN {EVENTS} ELSE 0 END, made.at, made.at, made.at + interval '2 s', 2000
FROM generate_series(0, %s - 1) AS n
CROSS JOIN LATERAL (SELECT now() - interval '30 days' * (1 - n::float / %s) AS at) AS made
JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS all_of FROM deployments_deployment)
    AS d ON d.place = n %% d.all_of
"""  # noqa: S608 - our own words
JOURNALS = f"""
INSERT INTO deployments_executionevent (id, execution_id, seq, type, block_id, agent, key, payload, at)
SELECT {UUID7.format(at="e.created_at", seed="e.id::text || s::text")}, e.id, s,
    'agent.started', 'answer', 'Writer', '', json_build_object('prompt', repeat(md5(e.id::text), 10)), e.created_at
FROM deployments_executionlog AS e CROSS JOIN generate_series(1, {EVENTS}) AS s WHERE e.seq = {EVENTS}
"""  # noqa: S608 - our own words


def fill(count: int, with_events: int) -> None:
    """As a month of work leaves it."""
    with connection.cursor() as cursor:
        cursor.execute(EXECUTIONS, [with_events, count, count])
        cursor.execute(JOURNALS)


def time_claims_and_sweeps() -> dict[str, tuple[float, float]]:
    """The p95 and the median of each, in ms. Nothing is due, as it is nearly always."""
    deployment = Deployment.objects.select_related("team", "design", "version")[0]
    return {
        "claim": _p95_and_median([_time_claim(deployment) for _ in range(TIMES)]),
        "reap": _p95_and_median([_time(lifecycle.reap) for _ in range(TIMES)]),
        "settle": _p95_and_median([_time(settle_ended) for _ in range(TIMES)]),
        "dispatch": _p95_and_median([_time(lambda: dispatch_due(10)) for _ in range(TIMES)]),
    }


def _time_claim(deployment: Deployment) -> float:
    execution = make_queued(deployment, dispatched_at=timezone.now())
    fence = Fence(execution.id, 1, "bench")

    def claim() -> None:
        with transaction.atomic():
            lifecycle.claim({fence: 2}, started_at=timezone.now())

    taken = _time(claim)
    ExecutionEvent.objects.filter(execution=execution).delete()
    ExecutionLog.objects.filter(id=execution.id).delete()
    return taken


def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _p95_and_median(taken: list[float]) -> tuple[float, float]:
    return percentile(taken, 95), percentile(taken, 50)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        make_member()
        add_version()
        fill(int(sys.argv[2]), int(sys.argv[3]))
        settle()
    else:
        print(json.dumps(time_claims_and_sweeps()))
