"""What limits let in, counted where executions are accepted: exactly, whoever asks at the same time."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import Team
from deployments.days import day_of
from deployments.executions.admission import (
    ConcurrencyLimitReached,
    DailyQuotaReached,
    LimitReached,
    RateLimitReached,
)
from deployments.executions.start import Idempotency
from deployments.keys import make_key
from deployments.limits import CallingKey, InvalidLimits, KeyLimits
from deployments.models import ApiKey, DailyUse, Deployment, ExecutionLog, RateWindow
from deployments.scheduling.firing import fire_due
from deployments.tests.builders import make_deployment, make_schedule
from deployments.tests.worker_runs import start

pytestmark = pytest.mark.django_db(transaction=True)

ONCE = Idempotency(principal="key:1", key="order-7", body_hash="a" * 64)


def key_with(**limits: Any) -> CallingKey:
    key, _ = make_key(name="crm", team_id=Team.default().pk, scopes=["execute"], limits=KeyLimits(**limits))
    return CallingKey(key.id, KeyLimits.of(key))


def at_once(count: int, ask: Callable[[int], object]) -> list[LimitReached]:
    """So many ask at the same time, each in a thread and on a connection of its own; the refusals."""
    refusals: list[LimitReached] = []
    ready = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            ready.wait(20)
            ask(number)
        except LimitReached as refused:
            refusals.append(refused)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return refusals


def age_windows(**by: int) -> None:
    RateWindow.objects.update(began_at=F("began_at") - timedelta(**by))


class TestRates:
    def test_of_many_at_once_exactly_as_many_pass_as_the_limit_says(self) -> None:
        deployment = make_deployment(rate_count=7, rate_seconds=3600)
        refusals = at_once(20, lambda _: start(deployment))
        assert {type(refusal) for refusal in refusals} == {RateLimitReached}
        assert (len(refusals), ExecutionLog.objects.count()) == (13, 7)
        assert RateWindow.objects.get().count == 7

    def test_the_refusal_says_when_the_window_is_over(self) -> None:
        deployment = make_deployment(rate_count=1, rate_seconds=600)
        start(deployment)
        age_windows(seconds=400)
        with pytest.raises(RateLimitReached, match="1 call in 600 seconds") as refused:
            start(deployment)
        assert 150 < refused.value.retry_after <= 200

    def test_the_next_window_begins_with_the_first_call_after_the_last_one(self) -> None:
        deployment = make_deployment(rate_count=2, rate_seconds=60)
        start(deployment)
        start(deployment)
        age_windows(seconds=61)
        refusals = at_once(8, lambda _: start(deployment))
        assert (len(refusals), ExecutionLog.objects.count()) == (6, 4)
        with pytest.raises(RateLimitReached) as refused:
            start(deployment)
        assert 30 < refused.value.retry_after <= 60

    def test_a_changed_limit_is_that_of_the_present_window(self) -> None:
        deployment = make_deployment(rate_count=1, rate_seconds=3600)
        start(deployment)
        deployment.rate_count = 2
        start(deployment)
        with pytest.raises(RateLimitReached):
            start(deployment)
        age_windows(seconds=20)
        deployment.rate_seconds = 10
        start(deployment)

    def test_deployments_and_keys_are_counted_apart(self) -> None:
        one, other = make_deployment("one", rate_count=1, rate_seconds=60), make_deployment("other")
        key, second = key_with(rate_count=2, rate_seconds=60), key_with(rate_count=1, rate_seconds=60)
        start(one, key=key)
        start(other, key=key)
        with pytest.raises(RateLimitReached, match="This API key takes 2 calls"):
            start(other, key=key)
        with pytest.raises(RateLimitReached, match="This deployment takes 1 call"):
            start(one, key=second)
        start(other, key=second)
        start(other)

    def test_of_many_with_one_key_at_once_exactly_as_many_pass(self) -> None:
        deployments = [make_deployment("one"), make_deployment("other")]
        key = key_with(rate_count=7, rate_seconds=3600)
        assert len(at_once(20, lambda number: start(deployments[number % 2], key=key))) == 13
        assert ExecutionLog.objects.filter(api_key=key.id).count() == 7

    def test_what_another_limit_refuses_does_not_count(self) -> None:
        deployment = make_deployment(rate_count=2, rate_seconds=3600, max_concurrent=1, when_full="reject")
        strict = key_with(rate_count=1, rate_seconds=3600)
        start(deployment, key=strict)
        for _ in range(3):
            with pytest.raises(ConcurrencyLimitReached):
                start(deployment)
        Deployment.objects.update(max_concurrent=None)
        deployment.max_concurrent = None
        for _ in range(3):
            with pytest.raises(RateLimitReached, match="API key"):
                start(deployment, key=strict)
        assert RateWindow.objects.get(owner_id=deployment.id).count == 1
        start(deployment)

    def test_a_scheduled_time_is_no_call(self) -> None:
        deployment = make_deployment(rate_count=1, rate_seconds=3600)
        make_schedule(deployment, after=timezone.now() - timedelta(minutes=1), overlap="allow")
        start(deployment)
        assert fire_due() == 1
        assert ExecutionLog.objects.filter(status="queued", trigger_type="scheduled").count() == 1
        assert RateWindow.objects.get().count == 1


class TestRepeats:
    def test_a_repeated_call_does_not_count(self) -> None:
        deployment = make_deployment(rate_count=2, rate_seconds=3600)
        first = start(deployment, idempotency=ONCE)
        again = start(deployment, idempotency=ONCE)
        assert (again.replayed, again.execution.id) == (True, first.execution.id)
        start(deployment)
        # The limit is reached, and the repeated call is answered all the same.
        assert start(deployment, idempotency=ONCE).execution.id == first.execution.id

    def test_repeats_at_once_are_one_call_and_none_is_refused(self) -> None:
        deployment = make_deployment(rate_count=1, rate_seconds=3600)
        assert at_once(8, lambda _: start(deployment, idempotency=ONCE)) == []
        assert ExecutionLog.objects.count() == 1


class TestKeys:
    def test_a_keys_executions_at_once_count_while_they_wait(self) -> None:
        deployments = [make_deployment("one", max_concurrent=1), make_deployment("other")]
        key = key_with(max_concurrent=3)
        refusals = at_once(12, lambda number: start(deployments[number % 2], key=key))
        assert {type(refusal) for refusal in refusals} == {ConcurrencyLimitReached}
        assert (len(refusals), ExecutionLog.objects.count()) == (9, 3)
        ended = ExecutionLog.objects.first()
        assert ended is not None
        ExecutionLog.objects.filter(id=ended.id).update(status="cancelled", completed_at=timezone.now())
        start(deployments[0], key=key)
        with pytest.raises(ConcurrencyLimitReached):
            start(deployments[0], key=key)

    def test_a_daily_quota_opens_with_the_next_day_of_utc(self) -> None:
        deployment = make_deployment()
        key = key_with(daily_max_executions=7)
        refusals = at_once(20, lambda _: start(deployment, key=key))
        assert {type(refusal) for refusal in refusals} == {DailyQuotaReached}
        assert len(refusals) == 13
        assert 1 <= refusals[0].retry_after <= 86_400
        yesterday = day_of(timezone.now()) - timedelta(days=1)
        DailyUse.objects.update(day=yesterday)
        start(deployment, key=key)

    def test_half_a_rate_is_refused(self) -> None:
        with pytest.raises(InvalidLimits) as refused:
            key_with(rate_count=5)
        assert [problem.pointer for problem in refused.value.problems] == ["/rate_seconds"]


@pytest.mark.parametrize("half", [{"rate_count": 5}, {"rate_seconds": 5}, {"rate_count": 0, "rate_seconds": 5}])
def test_the_database_refuses_half_a_rate(half: dict[str, int]) -> None:
    deployment, key = make_deployment(), key_with()
    for rows in (Deployment.objects.filter(id=deployment.id), ApiKey.objects.filter(id=key.id)):
        with pytest.raises(IntegrityError):
            rows.update(**half)


class TestCosts:
    def statements(self, deployment: Deployment, key: CallingKey | None) -> list[str]:
        start(deployment, key=key)
        with CaptureQueriesContext(connection) as queries:
            start(deployment, key=key)
        return [sql for query in queries if (sql := query["sql"]).split(" ")[0] in {"SELECT", "INSERT", "UPDATE"}]

    def test_what_has_no_limit_costs_no_statement(self) -> None:
        assert len(self.statements(make_deployment(), key_with())) == 2  # the row and its first event

    def test_a_rate_costs_one_statement(self) -> None:
        rated = make_deployment(rate_count=5, rate_seconds=60)
        assert len(self.statements(rated, None)) == 3
        assert len(self.statements(rated, key_with(rate_count=5, rate_seconds=60))) == 4
