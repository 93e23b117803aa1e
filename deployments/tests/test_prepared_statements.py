"""A statement whose SQL is compiled once does what its queryset does."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import uuid_utils.compat
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deployments.models import Deployment, ExecutionEvent, ExecutionLog
from deployments.prepared_statements import PreparedInsert, PreparedRead, PreparedUpdate
from deployments.tests.builders import make_deployment, make_queued

pytestmark = pytest.mark.django_db

BY_PATH = PreparedRead(Deployment, lambda slot: Deployment.objects.by_endpoint(slot("endpoint_path")))
BY_ID = PreparedRead(
    ExecutionLog, lambda slot: ExecutionLog.objects.filter(id=slot("id")).only("status", "input_data", "cost")
)
OF_ATTEMPT = PreparedRead(
    ExecutionLog,
    lambda slot: ExecutionLog.objects.filter(id=slot("id"), attempt=slot("attempt"), status="queued").only("seq"),
)
RAISE_SEQ = PreparedUpdate(
    ExecutionLog,
    lambda slot: ExecutionLog.objects.filter(id=slot("id"), seq__lt=slot("new_seq", of="seq")),
    lambda slot: {"seq": slot("new_seq", of="seq"), "attempt": F("attempt") + 1, "result_data": slot("result_data")},
)


def test_it_finds_the_row_of_each_value_and_none_of_others() -> None:
    one, two = make_deployment("one"), make_deployment("two")
    assert BY_PATH.first(endpoint_path="/api/deployed/one") == one
    assert BY_PATH.first(endpoint_path="/api/deployed/two") == two
    assert BY_PATH.first(endpoint_path="/api/deployed/three") is None
    assert BY_PATH.first(endpoint_path="' OR 1=1 --") is None


def test_values_have_the_types_of_the_model() -> None:
    execution = make_queued(input_data={"text": ["a", 1]})
    found = BY_ID.first(id=execution.id)
    assert found is not None
    assert (found.id, found.input_data, found.cost) == (execution.id, {"text": ["a", 1]}, None)
    assert BY_ID.first(id=uuid4()) is None


def test_a_read_may_have_several_values_and_constants() -> None:
    execution = make_queued(attempt=2)
    assert OF_ATTEMPT.first(id=execution.id, attempt=2) == execution
    assert OF_ATTEMPT.first(id=execution.id, attempt=1) is None
    with pytest.raises(KeyError, match="attempt"):
        OF_ATTEMPT.first(id=execution.id)


def test_an_update_returns_the_row_as_it_then_is_with_the_types_of_the_model() -> None:
    raise_attempt = PreparedUpdate(
        ExecutionLog,
        lambda slot: ExecutionLog.objects.filter(id=slot("id"), attempt__lt=slot("limit", of="attempt")),
        lambda _: {"attempt": F("attempt") + 1},
        returning=[F("attempt"), F("created_at"), F("id")],
    )
    execution = make_queued()
    assert raise_attempt.run_returning(id=execution.id, limit=1) == [1, execution.created_at, execution.id]
    assert raise_attempt.run_returning(id=execution.id, limit=1) is None
    assert raise_attempt.run_each([{"id": execution.id, "limit": 2}]) == 1


def test_what_is_left_out_is_read_when_it_is_asked_for() -> None:
    execution = make_queued()
    with CaptureQueriesContext(connection) as queries:
        found = BY_ID.first(id=execution.id)
        assert found is not None
        assert (len(queries), found.status) == (1, "queued")
        assert (found.triggered_by, len(queries)) == (execution.triggered_by, 2)


def test_an_update_changes_each_row_by_its_own_values_and_counts_them() -> None:
    deployment = make_deployment()
    one, two, three = (make_queued(deployment) for _ in range(3))
    results = {one.id: {"b": 1, "a": ["ü"]}, two.id: None}
    rows = [{"id": row, "new_seq": seq, "result_data": results[row]} for row, seq in ((one.id, 7), (two.id, 9))]
    assert RAISE_SEQ.run_each(rows) == 2
    assert RAISE_SEQ.run_each([rows[0]]) == 0, "the condition holds for one alone as well"
    assert RAISE_SEQ.run_each([]) == 0
    for row in (one, two, three):
        row.refresh_from_db()
    assert [(row.seq, row.attempt) for row in (one, two, three)] == [(7, 1), (9, 1), (1, 0)]
    assert list(one.result_data) == ["b", "a"], "the order of keys is kept"
    assert two.result_data is None
    assert ExecutionLog.objects.filter(id=two.id, result_data__isnull=True).exists(), "None is SQL's NULL"


def test_an_insert_keeps_every_value() -> None:
    source, now = make_queued(), timezone.now()
    copy = ExecutionLog.objects.get(id=source.id)
    copy.id, copy.cost, copy.input_data = uuid_utils.compat.uuid7(), Decimal("0.125000001"), {"z": 1, "a": [None, "é"]}
    copy.next_run_at = now + timedelta(hours=1)
    PreparedInsert(ExecutionLog).insert([copy])
    stored = ExecutionLog.objects.get(id=copy.id)
    for field in ExecutionLog._meta.concrete_fields:
        assert getattr(stored, field.attname) == getattr(copy, field.attname), field.name
    copy.error = "later"
    copy.save(update_fields=["error"])  # it counts as stored


def test_an_insert_raises_as_any_other_does() -> None:
    execution = make_queued()
    event = ExecutionEvent(execution=execution, seq=1, type="agent.started", at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        PreparedInsert(ExecutionEvent).insert([event])
