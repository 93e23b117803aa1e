"""Daily budgets of deployments and keys, through a worker and over HTTP: what is reserved, settled and given back."""

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from access.models import Team
from deployments.days import day_of
from deployments.executions import daily_use
from deployments.executions import run as run_module
from deployments.executions.daily_use import Charged, ChargeLost, Owner, settle_ended
from deployments.executions.worker import Worker
from deployments.keys import make_key
from deployments.limits import CallingKey, KeyLimits
from deployments.models import ApiKey, DailyCharge, DailyUse, Deployment, ExecutionEvent, ExecutionLog
from deployments.tests import worker_runs
from deployments.tests.builders import make_deployment, make_queued, make_version
from deployments.tests.worker_runs import eventually
from designs.models import ProviderAccount
from executor.budget import Amount
from executor.errors import CeilingReached
from executor.json_types import Json, JsonObject
from orchestration_site.proving.mock_provider import MockProvider

pytestmark = pytest.mark.django_db(transaction=True)

TODAY = day_of(timezone.now())
ROOMY = 10**12


def parallel_document(agents: int, *, model: str = "mock:usage-30-20", tries: int = 1) -> JsonObject:
    """Agents whose calls are all of one size, and leave together."""
    workers: list[Json] = [
        {
            "id": f"w{number:02}",
            "name": f"Worker {number:02}",
            "model": model,
            "settings": {"tries": tries, "max_output_tokens": 100},
        }
        for number in range(agents)
    ]
    data: JsonObject = {"label": "Work", "task": "Work on it.", "agents": workers, "config": {"join": "all"}}
    block: JsonObject = {"id": "work", "type": "parallel", "data": data}
    return {"format": 1, "name": "Workers", "blocks": [block], "connections": []}


def deploy(agents: int = 1, *, path: str = "work", model: str = "mock:usage-30-20", **fields: Any) -> Deployment:
    return make_deployment(path, version=make_version(parallel_document(agents, model=model)), **fields)


def start(deployment: Deployment, *, key: CallingKey | None = None) -> ExecutionLog:
    return worker_runs.start(deployment, key=key).execution


def run(worker: Worker, *executions: ExecutionLog) -> None:
    """All at once, until they have ended."""
    threads = [threading.Thread(target=worker.run, args=(each.id, each.attempt)) for each in executions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for execution in executions:
        execution.refresh_from_db()


def key_with(**limits: Any) -> CallingKey:
    key, _ = make_key(name="crm", team_id=Team.default().pk, scopes=["execute"], limits=KeyLimits(**limits))
    return CallingKey(key.id, KeyLimits.of(key))


def used(owner: Deployment | CallingKey) -> tuple[int, int]:
    use = DailyUse.objects.filter(owner_id=owner.id, day=TODAY).first()
    return (0, 0) if use is None else (use.tokens, use.nano_usd)


def reservation(worker: Worker) -> int:
    """The tokens that one call of `parallel_document` sets aside."""
    execution = start(deploy(path="measure"))
    run(worker, execution)
    started = ExecutionEvent.objects.get(execution=execution, type="agent.started")
    tokens: int = started.payload["reserved"]["tokens"]
    return tokens


class TestExactness:
    def test_of_twenty_agents_at_once_seven_call(self, worker: Worker, provider: MockProvider) -> None:
        tokens = reservation(worker)
        provider.reset()
        model = f"mock:usage-{tokens - 20}-20+latency-100"  # each uses what it had reserved
        deployment = deploy(20, model=model, daily_max_tokens=7 * tokens)
        execution = start(deployment)
        run(worker, execution)
        assert provider.counters.requests == 7
        assert used(deployment) == (7 * tokens, 0)
        ended = ExecutionEvent.objects.get(execution=execution, type="block.completed")
        assert ended.payload["stopped_reason"] == "daily_budget"

    def test_of_twenty_executions_at_once_seven_call(self, worker: Worker, provider: MockProvider) -> None:
        tokens = reservation(worker)
        provider.reset()
        model = f"mock:usage-{tokens - 20}-20+latency-100"
        key = key_with(daily_max_tokens=7 * tokens)
        deployments = [deploy(model=model, path="one"), deploy(model=model, path="other")]
        executions = [start(deployments[number % 2], key=key) for number in range(20)]
        run(worker, *executions)
        codes = sorted(each.error_code for each in executions)
        assert codes == [""] * 7 + ["daily_budget_exceeded"] * 13
        assert provider.counters.requests == 7
        assert used(key) == (7 * tokens, 0)

    def test_money_is_counted_to_the_billionth(self, worker: Worker, provider: MockProvider) -> None:
        account = ProviderAccount.objects.get()
        account.prices = {"usage-30-20": {"input": "0.1", "output": "0.7"}}
        account.save()
        deployment = deploy(3, daily_max_cost_usd=Decimal(1))
        run(worker, start(deployment))
        cost = (30 * Decimal("0.1") + 20 * Decimal("0.7")) / 1_000_000
        assert used(deployment) == (150, int(3 * cost * 10**9))
        Deployment.objects.update(daily_max_cost_usd=Decimal("0.00006"))  # less than the next call may cost
        execution = start(deployment)
        run(worker, execution)
        assert "0.00006 USD" in execution.error
        assert execution.error_code == "daily_budget_exceeded"

    def test_a_call_of_many_dollars_counts_whole(self) -> None:
        """More billionths of a USD than four bytes hold, of which PostgreSQL's driver cuts off the rest."""
        deployment = deploy(daily_max_cost_usd=Decimal(100), daily_max_tokens=10**13)
        charged, dear = charge(make_queued(deployment), 0), Amount(1, 4 * 10**12, Decimal(40))
        daily_use.reserve(charged, dear)
        assert used(deployment) == (4 * 10**12, 40 * 10**9)
        daily_use.reserve(charged, dear)
        with pytest.raises(CeilingReached):
            daily_use.reserve(charged, dear)
        daily_use.settle(charged, TODAY, dear, Amount(1, 7, Decimal("0.5")))
        assert used(deployment) == (4 * 10**12 + 7, 40_500_000_000)
        charged_now = DailyCharge.objects.get()
        assert (charged_now.tokens, charged_now.nano_usd) == used(deployment)

    def test_money_without_a_price_is_refused(self, worker: Worker, provider: MockProvider) -> None:
        execution = start(deploy(daily_max_cost_usd=Decimal(1)))
        run(worker, execution)
        assert "price is not known" in execution.error
        assert provider.counters.requests == 0


class TestSettling:
    def test_what_was_used_counts_and_the_rest_is_given_back(self, worker: Worker, provider: MockProvider) -> None:
        key = key_with(daily_max_tokens=ROOMY)
        deployment = deploy(4, daily_max_tokens=ROOMY)
        execution = start(deployment, key=key)
        run(worker, execution)
        assert execution.status == "completed"
        assert used(deployment) == used(key) == (200, 0)
        assert not DailyCharge.objects.exists()

    def test_a_refused_request_costs_nothing(self, worker: Worker, provider: MockProvider) -> None:
        deployment = deploy(model="mock:status-401", daily_max_tokens=ROOMY)
        run(worker, start(deployment))
        assert used(deployment) == (0, 0)

    def test_the_error_says_whose_budget_and_when_it_opens_again(self, worker: Worker, provider: MockProvider) -> None:
        execution = start(deploy(), key=key_with(daily_max_tokens=10))
        run(worker, execution)
        assert "This API key's budget of 10 tokens" in execution.error
        assert f"opens again at {TODAY + timedelta(days=1)}T00:00Z" in execution.error
        assert provider.counters.requests == 0

    def test_what_one_of_the_two_refuses_the_other_does_not_count(self, worker: Worker, provider: MockProvider) -> None:
        deployment = deploy(daily_max_tokens=ROOMY)
        run(worker, start(deployment, key=key_with(daily_max_tokens=10)))
        assert used(deployment) == (0, 0)

    def test_a_budget_that_is_lowered_holds_for_what_was_accepted_before(
        self, worker: Worker, provider: MockProvider
    ) -> None:
        deployment, key = deploy(daily_max_tokens=ROOMY), key_with(daily_max_tokens=ROOMY)
        first, second = start(deployment), start(deploy(path="other"), key=key)
        Deployment.objects.update(daily_max_tokens=10)
        ApiKey.objects.update(daily_max_tokens=10)
        run(worker, first, second)
        assert {first.error_code, second.error_code} == {"daily_budget_exceeded"}

    def test_yesterday_s_use_is_not_today_s(self, worker: Worker, provider: MockProvider) -> None:
        deployment = deploy(daily_max_tokens=500)
        DailyUse.objects.create(owner_id=deployment.id, day=TODAY - timedelta(days=1), tokens=500)
        execution = start(deployment)
        run(worker, execution)
        assert (execution.status, used(deployment)) == ("completed", (50, 0))

    def test_without_a_budget_nobody_is_asked(
        self, worker: Worker, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_module, "DailyBudget", None)
        execution = start(deploy(), key=key_with(rate_count=5, rate_seconds=60))
        run(worker, execution)
        assert execution.status == "completed"
        assert not DailyUse.objects.exists()


def charge(execution: ExecutionLog, tokens: int, *, attempt: int = 1) -> Charged:
    """What a worker has set aside for the execution, as the attempt that it was."""
    assert execution.deployment_id is not None
    charged = Charged(execution.id, attempt, (Owner("deployment", execution.deployment_id),))
    daily_use.reserve(charged, Amount(1, tokens))
    return charged


class TestLostWorkers:
    def test_who_resumes_gives_back_what_never_went_out(self, worker: Worker, provider: MockProvider) -> None:
        deployment = deploy(daily_max_tokens=2_000)
        execution = start(deployment)
        charge(execution, 1_900)
        ExecutionLog.objects.update(attempt=1)
        execution.refresh_from_db()
        run(worker, execution)
        assert (execution.status, used(deployment)) == ("completed", (50, 0))

    def test_a_call_whose_outcome_nobody_knows_stays_counted(self, worker: Worker, provider: MockProvider) -> None:
        deployment = deploy(daily_max_tokens=10_000)
        execution = start(deployment)
        lost = charge(execution, 1_500)
        charge(execution, 400)  # before it is recorded that it goes out
        record_started(execution, 1_500)
        ExecutionLog.objects.update(attempt=1, seq=2)
        execution.refresh_from_db()
        run(worker, execution)
        assert (execution.status, used(deployment)) == ("completed", (1_550, 0))
        with pytest.raises(ChargeLost):  # the worker that was taken for dead wakes
            daily_use.settle(lost, TODAY, Amount(1, 1_500), Amount(1, 20))
        assert used(deployment) == (1_550, 0)

    def test_a_worker_that_was_taken_for_dead_neither_reserves_nor_settles(self) -> None:
        deployment = deploy(daily_max_tokens=10_000)
        execution = make_queued(deployment)
        old = charge(execution, 100)
        daily_use.take_over(Charged(execution.id, 2, old.owners), Amount(), began_on=TODAY)
        assert used(deployment) == (0, 0)
        with pytest.raises(ChargeLost):
            daily_use.reserve(old, Amount(1, 100))
        with pytest.raises(ChargeLost):
            daily_use.settle(old, TODAY, Amount(1, 100), Amount(1, 20))
        assert used(deployment) == (0, 0)

    def test_taking_over_twice_forgets_nothing(self) -> None:
        """Two workers get the same message; one of them has reserved its call by then."""
        deployment = deploy(daily_max_tokens=10_000)
        execution = make_queued(deployment)
        old = charge(execution, 100)
        new = Charged(execution.id, 2, old.owners)
        daily_use.take_over(new, Amount(), began_on=TODAY)
        daily_use.reserve(new, Amount(1, 300))
        daily_use.take_over(new, Amount(), began_on=TODAY)
        assert used(deployment) == (300, 0)

    def test_what_ended_without_its_worker_is_settled_by_its_journal(self) -> None:
        deployment = deploy(daily_max_tokens=10_000)
        execution, going_on = make_queued(deployment), make_queued(deployment)
        charge(execution, 900)
        charge(execution, 4_000)
        charge(going_on, 200)
        record_started(execution, 900)
        ExecutionLog.objects.filter(id=execution.id).update(
            status="failed", error_code="worker_lost", completed_at=timezone.now(), attempt=1
        )
        assert settle_ended() == 1
        assert used(deployment) == (1_100, 0)
        assert list(DailyCharge.objects.values_list("execution_id", flat=True)) == [going_on.id]
        assert settle_ended() == 0

    def test_a_worker_s_sweep_settles_what_has_ended(self, worker: Worker, provider: MockProvider) -> None:
        deployment = deploy(daily_max_tokens=10_000)
        execution = make_queued(deployment)
        charge(execution, 900)
        ExecutionLog.objects.update(status="failed", completed_at=timezone.now(), attempt=1)
        eventually(lambda: not DailyCharge.objects.exists())
        assert used(deployment) == (0, 0)


class TestOutages:
    """The database is away for a moment; whether a commit was made before it went, nobody knows."""

    def test_a_reservation_is_asked_for_again_and_counted_once(
        self, worker: Worker, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deployment = deploy(daily_max_tokens=10_000)
        fail_once(monkeypatch, "reserve")
        execution = start(deployment)
        run(worker, execution)
        assert (execution.status, provider.counters.requests) == ("completed", 1)
        eventually(lambda: not DailyCharge.objects.exists())
        assert used(deployment) == (50, 0)

    def test_what_could_not_be_settled_is_settled_by_the_journal(
        self, worker: Worker, provider: MockProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deployment = deploy(daily_max_tokens=10_000)
        fail_once(monkeypatch, "settle")
        execution = start(deployment)
        run(worker, execution)
        assert execution.status == "completed"
        eventually(lambda: not DailyCharge.objects.exists())
        assert used(deployment) == (50, 0)


def fail_once(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A reservation is made, and the connection breaks before it can say so; a settlement is not even made."""
    do, outages = getattr(daily_use, step), iter([OperationalError("The server closed the connection.")])

    def break_off(*args: Any) -> Any:
        outage = next(outages, None)
        if outage is None:
            return do(*args)
        if step == "reserve":
            do(*args)
        raise outage

    monkeypatch.setattr(daily_use, step, break_off)


class TestMidnight:
    def test_a_call_over_midnight_is_settled_on_its_day(self, monkeypatch: pytest.MonkeyPatch) -> None:
        deployment = deploy(daily_max_tokens=1_000)
        execution = make_queued(deployment)
        charged = charge(execution, 600)
        tomorrow = timezone.now() + timedelta(days=1)
        monkeypatch.setattr(timezone, "now", lambda: tomorrow)
        assert daily_use.reserve(charged, Amount(1, 700)) == day_of(tomorrow)
        daily_use.settle(charged, TODAY, Amount(1, 600), Amount(1, 50))
        uses = dict(DailyUse.objects.values_list("day", "tokens"))
        assert uses == {TODAY: 50, day_of(tomorrow): 700}
        assert DailyCharge.objects.get().tokens == 700

    def test_what_fails_on_one_day_runs_on_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        deployment = deploy(daily_max_tokens=1_000)
        charged = charge(make_queued(deployment), 600)
        with pytest.raises(CeilingReached) as reached:
            daily_use.reserve(charged, Amount(1, 600))
        assert reached.value.reason == "daily_budget"
        tomorrow = timezone.now() + timedelta(days=1)
        monkeypatch.setattr(timezone, "now", lambda: tomorrow)
        daily_use.reserve(charged, Amount(1, 600))


def record_started(execution: ExecutionLog, tokens: int) -> None:
    """The journal's line of a call that went out."""
    place: JsonObject = {"prompt": "Work on it.", "prompt_hash": "0", "phase": "branch", "round": 0, "repair": 0}
    payload: JsonObject = {**place, "model": "mock:any", "reserved": {"calls": 1, "tokens": tokens, "cost": None}}
    ExecutionEvent.objects.create(
        execution=execution,
        seq=2,
        type="agent.started",
        block_id="work",
        agent="Worker 00",
        key="work/other/0/w00",
        payload=payload,
        at=timezone.now(),
    )
