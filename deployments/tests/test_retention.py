"""What is counted is not kept for ever; the audit is."""

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone

from access.audit import record_action
from access.models import AuditRecord, SignInWindow
from deployments.executions import retention
from deployments.executions.retention import forget_old
from deployments.executions.worker import Worker
from deployments.models import DailyUse

PATIENCE_SECONDS = 30
NOW = datetime(2026, 6, 15, 0, 30, tzinfo=UTC)


@pytest.fixture
def kept_days(monkeypatch: pytest.MonkeyPatch) -> int:
    days = 30
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update={"daily_use_days": days}))
    return days


def use(days_ago: int, *, now: datetime = NOW) -> DailyUse:
    return DailyUse.objects.create(owner_id=uuid4(), day=(now - timedelta(days=days_ago)).date())


@pytest.mark.django_db
@pytest.mark.either_database
def test_days_that_are_too_old_are_deleted_in_batches_and_no_other(
    kept_days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    old = [use(kept_days + 1 + number) for number in range(5)]
    kept = [use(kept_days), use(0)]
    assert forget_old(now=NOW) is True
    assert DailyUse.objects.count() == len(old) + len(kept) - 3
    assert forget_old(now=NOW) is False
    assert set(DailyUse.objects.all()) == set(kept)


@pytest.mark.django_db
@pytest.mark.either_database
def test_the_audit_stays_however_old_it_is(kept_days: int) -> None:
    record_action("signed_in", by="user:alice", team_id=None, on=("user", 1))
    assert forget_old(now=timezone.now() + timedelta(days=10_000)) is False
    assert AuditRecord.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_workers_sweep_does_it(kept_days: int, worker: Worker) -> None:
    assert worker.owner
    now = timezone.now()
    use(kept_days + 1, now=now)
    SignInWindow.objects.create(about="x", began_at=now - timedelta(days=2))
    recent = use(1, now=now)
    worker._forgets_at = float("-inf")
    given_up = time.monotonic() + PATIENCE_SECONDS
    while SignInWindow.objects.exists() or list(DailyUse.objects.all()) != [recent]:
        assert time.monotonic() < given_up
        time.sleep(0.05)
