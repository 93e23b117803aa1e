"""A provider of models may say anything of what a call used: what it cost stays readable, and the execution ends."""

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from access.models import Team
from deployments.executions.worker import Worker
from deployments.keys import make_key
from deployments.models import Deployment, ExecutionLog
from deployments.tests.test_daily_budget import deploy, run, start, used
from designs.models import ProviderAccount
from orchestration_site.proving.mock_provider import MockProvider

pytestmark = pytest.mark.django_db(transaction=True)


def run_at(tokens: int, worker: Worker, *, agents: int = 1, **limits: Any) -> tuple[Deployment, ExecutionLog]:
    """An execution whose agents use so many tokens, by what their provider says, at a dollar each."""
    model = f"usage-{tokens}-20"
    ProviderAccount.objects.update(prices={model: {"input": "1000000", "output": "1"}})
    deployment = deploy(agents, model=f"mock:{model}", **limits)
    execution = start(deployment)
    run(worker, execution)
    return deployment, execution


@pytest.mark.parametrize("tokens", [10**10, 10**18, 10**30])
def test_a_count_that_no_call_can_use_is_not_believed(worker: Worker, provider: MockProvider, tokens: int) -> None:
    deployment, execution = run_at(tokens, worker, daily_max_tokens=10**9)
    assert execution.status == "completed"
    assert execution.usage is not None
    assert execution.usage["estimated"]
    assert 0 < execution.usage["input_tokens"] < 1_000
    assert used(deployment)[0] < 2_000


def test_a_cost_beyond_what_the_history_holds_is_cut_to_that(worker: Worker, provider: MockProvider) -> None:
    _, execution = run_at(99_999_999, worker, agents=12)
    assert (execution.status, execution.cost) == ("completed", Decimal(999_999_999))
    _, plaintext = make_key(name="crm", team_id=Team.default().pk, scopes=["read"])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plaintext}")
    shown = client.get("/api/executions").json()["results"]
    assert [row["cost"] for row in shown] == ["999999999"]
