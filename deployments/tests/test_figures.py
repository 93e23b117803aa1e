"""The site's figures: what waits, runs, and has ended lately, in a constant number of bounded statements."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deployments import figures
from deployments.executions import lifecycle
from deployments.figures import LATELY, read_site_figures
from deployments.tests.builders import make_deployment, make_ended, make_queued, make_schedule

pytestmark = pytest.mark.django_db


def test_an_empty_site_has_nothing() -> None:
    seen = read_site_figures()
    assert seen.now == {"queued": 0, "running": 0}
    assert (seen.queue_age_seconds, seen.leases_over) == (0.0, 0)
    assert set(seen.lately) == {"queued", "running", "completed", "failed", "cancelled", "skipped"}
    assert sum(seen.lately.values()) == 0


def test_what_waits_and_what_runs_is_counted_and_the_age_of_the_oldest_told() -> None:
    deployment, now = make_deployment(), timezone.now()
    make_queued(deployment, created_at=now - timedelta(seconds=90))
    make_queued(deployment)
    # It waits for others of its schedule, however long that takes: no sign that anything stands still.
    make_queued(deployment, created_at=now - timedelta(hours=1), waits_for_previous=True)
    running = make_queued(deployment, created_at=now - timedelta(hours=2))
    lifecycle.claim({lifecycle.Fence(running.id, 1, "me"): 2}, started_at=now)

    seen = read_site_figures()
    assert seen.now == {"queued": 3, "running": 1}
    assert seen.queue_age_seconds == pytest.approx(90, abs=20)
    assert seen.leases_over == 0


def test_a_lease_that_is_over_is_seen_until_somebody_takes_the_execution_up() -> None:
    execution = make_queued()
    lifecycle.claim({lifecycle.Fence(execution.id, 1, "lost"): 2}, started_at=timezone.now())
    lifecycle.end_leases_of("lost")
    assert read_site_figures().leases_over == 1


def test_what_was_accepted_lately_is_counted_by_its_status_and_what_is_older_is_not() -> None:
    deployment, now = make_deployment(), timezone.now()
    for status, age in (("completed", 0), ("completed", 60), ("failed", 100), ("cancelled", 200)):
        make_ended(deployment, at=now - timedelta(seconds=age), status=status)
    make_ended(deployment, at=now - LATELY - timedelta(seconds=30))
    make_queued(deployment)

    counted = {status: count for status, count in read_site_figures().lately.items() if count}
    assert counted == {"completed": 2, "failed": 1, "cancelled": 1, "queued": 1}


def test_nothing_is_counted_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST_COUNTED", 2)
    deployment, now = make_deployment(), timezone.now()
    for age in range(3):
        make_queued(deployment, created_at=now - timedelta(seconds=age))
    make_ended(deployment, at=now - timedelta(seconds=60))

    seen = read_site_figures()
    assert seen.now["queued"] == 2
    assert (seen.lately["queued"], seen.lately["completed"]) == (2, 0)  # the newest


def test_reading_them_takes_eight_statements_whatever_there_is() -> None:
    for number in range(3):
        deployment = make_deployment(str(number))
        make_schedule(deployment)
        make_queued(deployment)
    with CaptureQueriesContext(connection) as queries:
        read_site_figures()
    assert len(queries) == 8
