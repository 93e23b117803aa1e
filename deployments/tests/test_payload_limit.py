"""What one execution may hold: set for a deployment, fixed when it is accepted, kept by the worker."""

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from access.models import Team
from deployments.executions.limits import ExecutionLimits
from deployments.executions.start import start_execution
from deployments.executions.worker import Worker
from deployments.keys import make_key
from deployments.models import Deployment, ExecutionEvent
from deployments.tests.builders import chain_document, make_deployment, make_version
from orchestration_site.proving.mock_provider import MockProvider, Reply

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.either_database]

CEILING = settings.ENVIRONMENT.execution_payload_ceiling_bytes
DEFAULT = settings.ENVIRONMENT.execution_max_payload_bytes


def change(deployment: Deployment, size: int) -> tuple[int, list[str]]:
    """The status, and the pointers of what is wrong."""
    _, plaintext = make_key(name="crm", team_id=Team.default().pk, scopes=("read", "manage"))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plaintext}")
    body = {"limits": {"max_payload_bytes": size}}
    answer = client.patch(f"/api/deployments/{deployment.id}", body, format="json", HTTP_IF_MATCH="*")
    return answer.status_code, [error["pointer"] for error in answer.json().get("errors", [])]


def test_a_deployment_is_given_no_more_than_the_site_allows() -> None:
    deployment = make_deployment()
    assert change(deployment, CEILING) == (200, [])
    assert change(deployment, CEILING + 1) == (422, ["/limits/max_payload_bytes"])
    assert change(deployment, 10) == (422, ["/limits/max_payload_bytes"])
    deployment.refresh_from_db()
    assert deployment.max_payload_bytes == CEILING


def test_a_ceiling_that_was_lowered_since_holds_for_what_is_accepted_from_now_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = make_deployment(max_payload_bytes=5_000_000)
    accepted = ExecutionLimits.of(deployment).as_json()
    assert accepted["max_payload_bytes"] == 5_000_000
    lowered = settings.ENVIRONMENT.model_copy(update={"execution_payload_ceiling_bytes": 2_000_000})
    monkeypatch.setattr(settings, "ENVIRONMENT", lowered)
    assert ExecutionLimits.of(deployment).max_payload_bytes == 2_000_000
    assert ExecutionLimits.of(None).max_payload_bytes == 2_000_000
    assert ExecutionLimits.from_json(accepted).max_payload_bytes == 5_000_000, "it runs under what it was accepted with"


def test_what_was_accepted_before_there_was_the_limit_runs_under_the_sites() -> None:
    limits = ExecutionLimits.of(None)
    assert limits.max_payload_bytes == DEFAULT
    assert ExecutionLimits.from_json(limits.as_json()) == limits
    earlier = {name: value for name, value in limits.as_json().items() if name != "max_payload_bytes"}
    assert ExecutionLimits.from_json(earlier) == limits


@pytest.mark.parametrize("live", [True, False])
def test_a_provider_that_answers_too_much_ends_the_execution(
    worker: Worker, provider: MockProvider, *, live: bool
) -> None:
    provider.script = lambda request: Reply(text="x" * (300_000 if request.earlier else 100))
    document = chain_document("mock:mock", "mock:mock", "mock:mock")
    deployment = make_deployment(version=make_version(document), max_payload_bytes=100_000)
    started = start_execution(
        deployment=deployment,
        version=deployment.version,
        team_id=deployment.team_id,
        input_data={"name": "Ada"},
        trigger_type="api",
        triggered_by="key:test",
    )
    execution = started.execution
    type(execution).objects.filter(id=execution.id).update(live_text=live)
    worker.run(execution.id, execution.attempt)
    execution.refresh_from_db()
    assert (execution.status, execution.error_code) == ("failed", "payload_exceeded")
    assert "may hold 100,000 bytes" in execution.error
    assert "max_payload_bytes" in execution.error
    assert provider.counters.requests == 2
    assert provider.requests[0].streamed is live
    events = ExecutionEvent.objects.filter(execution=execution).order_by("seq").values_list("type", flat=True)
    assert list(events)[-2:] == ["block.failed", "execution.failed"]
