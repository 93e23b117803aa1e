"""Which queued executions the workers are told of: those that may run, and each once in a while."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from deployments.executions import lifecycle
from deployments.executions.dispatch import dispatch_due, publish_next_of
from deployments.executions.lifecycle import Fence
from deployments.executions.publisher import publisher
from deployments.models import Deployment, ExecutionLog
from deployments.tests.builders import make_deployment, make_queued

pytestmark = pytest.mark.django_db


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    ids: list[UUID] = []
    monkeypatch.setattr(publisher, "publish", lambda execution_id, attempt: ids.append(execution_id))
    return ids


def queue(deployment: Deployment, count: int, *, told_ago: int = 60) -> list[ExecutionLog]:
    """Executions that were accepted one after the other, whose messages came to nothing."""
    told_at = timezone.now() - timedelta(seconds=told_ago)
    return [make_queued(deployment, dispatched_at=told_at) for _ in range(count)]


def run(execution: ExecutionLog) -> None:
    with transaction.atomic():
        assert lifecycle.claim({Fence(execution.id, 1, "worker-a"): 2}, started_at=timezone.now())


def test_an_end_publishes_as_many_as_fit_and_notes_that_it_did(published: list[UUID]) -> None:
    rows = queue(make_deployment(max_concurrent=3), 5)
    run(rows[0])
    assert publish_next_of(_deployment(rows)) == 2
    assert published == [rows[1].id, rows[2].id]
    assert dispatch_due(100) == 2, "the sweep need not tell of the same at once"
    assert set(published[2:]) == {rows[3].id, rows[4].id}


def test_an_end_publishes_nothing_where_the_limit_was_lifted(published: list[UUID]) -> None:
    """Each of n ends would publish all that wait."""
    deployment = make_deployment(max_concurrent=1)
    rows = queue(deployment, 3)
    Deployment.objects.update(max_concurrent=None)
    assert publish_next_of(deployment.id) == 0
    assert dispatch_due(100) == 3
    assert published == [row.id for row in rows]


def test_an_end_publishes_no_more_than_one_worker_can_run(
    published: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = settings.ENVIRONMENT.model_copy(update={"max_concurrent_executions": 2})
    monkeypatch.setattr(settings, "ENVIRONMENT", small)
    rows = queue(make_deployment(max_concurrent=1000), 5)
    assert publish_next_of(_deployment(rows)) == 2
    assert published == [rows[0].id, rows[1].id]


def test_an_end_publishes_nothing_that_is_not_due(published: list[UUID]) -> None:
    later = make_queued(make_deployment(max_concurrent=2), next_run_at=timezone.now() + timedelta(minutes=1))
    assert publish_next_of(_deployment([later])) == 0


def test_the_sweep_leaves_out_what_a_limit_keeps_waiting(published: list[UUID]) -> None:
    full, roomy, free = (
        make_deployment("full", max_concurrent=1),
        make_deployment("roomy", max_concurrent=3),
        make_deployment("free"),
    )
    in_full, in_roomy, in_free = queue(full, 3), queue(roomy, 4), queue(free, 2)
    run(in_full[0])
    run(in_roomy[0])
    assert dispatch_due(100) == 4
    assert set(published) == {in_roomy[1].id, in_roomy[2].id, *(row.id for row in in_free)}


def test_what_waits_at_a_full_deployment_takes_no_place_from_others(published: list[UUID]) -> None:
    full = make_deployment("full", max_concurrent=1)
    waiting = queue(full, 3)
    run(waiting[0])
    (sound,) = queue(make_deployment("free"), 1)
    assert dispatch_due(1) == 1
    assert published == [sound.id]


def test_what_was_accepted_before_the_limit_is_published_whatever_runs(published: list[UUID]) -> None:
    deployment = make_deployment()
    running, queued = queue(deployment, 2)
    run(running)
    Deployment.objects.update(max_concurrent=1)
    assert dispatch_due(100) == 1
    assert published == [queued.id]


def _deployment(rows: list[ExecutionLog]) -> UUID:
    assert rows[0].deployment_id is not None
    return rows[0].deployment_id
