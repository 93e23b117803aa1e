"""A read whose SQL is compiled once finds what its queryset finds."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from deployments.models import Deployment, ExecutionLog
from deployments.prepared_reads import PreparedRead
from deployments.tests.builders import make_deployment, make_queued

pytestmark = pytest.mark.django_db

BY_PATH = PreparedRead(Deployment, "endpoint_path", Deployment.objects.by_endpoint)
BY_ID = PreparedRead(
    ExecutionLog,
    "id",
    lambda execution_id: ExecutionLog.objects.filter(id=execution_id).only("status", "input_data", "cost"),
)


def test_it_finds_the_row_of_each_value_and_none_of_others() -> None:
    one, two = make_deployment("one"), make_deployment("two")
    assert BY_PATH.first("/api/deployed/one") == one
    assert BY_PATH.first("/api/deployed/two") == two
    assert BY_PATH.first("/api/deployed/three") is None
    assert BY_PATH.first("' OR 1=1 --") is None


def test_values_have_the_types_of_the_model() -> None:
    execution = make_queued(input_data={"text": ["a", 1]})
    found = BY_ID.first(execution.id)
    assert found is not None
    assert (found.id, found.input_data, found.cost) == (execution.id, {"text": ["a", 1]}, None)
    assert BY_ID.first(uuid4()) is None


def test_what_is_left_out_is_read_when_it_is_asked_for() -> None:
    execution = make_queued()
    with CaptureQueriesContext(connection) as queries:
        found = BY_ID.first(execution.id)
        assert found is not None
        assert (len(queries), found.status) == (1, "queued")
        assert (found.triggered_by, len(queries)) == (execution.triggered_by, 2)


def test_a_queryset_with_more_parameters_is_refused() -> None:
    two = PreparedRead(
        Deployment, "endpoint_path", lambda path: Deployment.objects.filter(endpoint_path=path, status="active")
    )
    with pytest.raises(ValueError, match="One parameter"):
        two.first("x")
