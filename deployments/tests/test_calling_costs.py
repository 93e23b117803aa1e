"""What accepting a call costs the database: this path is what callers wait for."""

from typing import Any

import pytest
from django.db import connection
from django.http.response import HttpResponseBase
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import Team
from deployments.api.deployed import DeployedEndpointView
from deployments.keys import make_key
from deployments.models import ApiKey, ExecutionLog
from deployments.tests.builders import make_deployment, make_version, one_agent_document
from rest.async_view import AwaitMixin

pytestmark = pytest.mark.django_db


@pytest.fixture
def call() -> Any:
    """Calls the endpoint in this thread, without waiting for its result; the answer and the statements."""
    document = one_agent_document() | {"input_schema": {"type": "object", "required": ["text"]}}
    deployment = make_deployment("feed", version=make_version(document))
    _, plaintext = make_key(name="crm", team_id=Team.default().pk, scopes=["execute"], created_by="test")
    ApiKey.objects.update(last_used_at=timezone.now())
    view = super(AwaitMixin, DeployedEndpointView).as_view()  # without the hop to a thread of its own

    def call() -> tuple[HttpResponseBase, list[str]]:
        request = RequestFactory().post(
            deployment.endpoint_path,
            {"text": "Hello."},
            content_type="application/json",
            headers={"Authorization": f"Bearer {plaintext}", "Prefer": "respond-async"},
        )
        with CaptureQueriesContext(connection) as queries:
            answer = view(request, endpoint_path="feed")
        return answer, [query["sql"].split("(")[0][:60] for query in queries]

    return call


def test_a_call_is_accepted_by_two_reads_and_two_inserts(call: Any) -> None:
    call()  # the first one reads the version's input schema
    answer, statements = call()
    assert answer.status_code == 202
    reads = [statement for statement in statements if statement.startswith("SELECT")]
    inserts = [statement for statement in statements if statement.startswith("INSERT")]
    assert (len(reads), len(inserts)) == (2, 2), statements
    assert len(statements) - len(reads) - len(inserts) <= 2, statements  # the transaction's own
    assert ExecutionLog.objects.count() == 2


def test_the_versions_document_is_not_read_again(call: Any) -> None:
    call()
    with CaptureQueriesContext(connection) as queries:
        call()
    assert not [query for query in queries if '"document"' in query["sql"]]
