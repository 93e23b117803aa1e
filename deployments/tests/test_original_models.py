"""The tables keep what the original description asks of them: each field by its own name, each state, each index."""

from uuid import UUID

import pytest
from django.db import connection, models

from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.tests.builders import make_deployment, make_queued

FIELDS: list[tuple[type[models.Model], list[str]]] = [
    (ScheduleConfig, ["enabled", "cron_expression", "interval_seconds", "timezone"]),
    (
        Deployment,
        [
            "id",
            "design_id",
            "design_name",
            "endpoint_path",
            "status",
            "schedule",
            "created_at",
            "updated_at",
            "last_execution_at",
            "execution_count",
        ],
    ),
    (
        ExecutionLog,
        [
            "id",
            "deployment_id",
            "design_id",
            "status",
            "trigger_type",
            "triggered_by",
            "input_data",
            "result_data",
            "error",
            "started_at",
            "completed_at",
            "duration_ms",
        ],
    ),
]
INDEXED: list[tuple[type[models.Model], str]] = [
    (Deployment, "design_id"),
    (Deployment, "endpoint_path"),
    (Deployment, "status"),
    (Deployment, "created_at"),
    (ExecutionLog, "deployment_id"),
    (ExecutionLog, "design_id"),
    (ExecutionLog, "status"),
    (ExecutionLog, "started_at"),
]


@pytest.mark.parametrize(
    ("model", "name"),
    [(model, name) for model, names in FIELDS for name in names],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_every_field_is_there_by_its_own_name(model: type[models.Model], name: str) -> None:
    field = model._meta.get_field(name)
    assert name in (field.name, getattr(field, "attname", None))


def test_every_state_is_there() -> None:
    assert set(Deployment.Status.values) == {"active", "inactive", "error"}
    assert set(ExecutionLog.Status.values) >= {"running", "completed", "failed"}
    assert set(ExecutionLog.Trigger.values) == {"manual", "scheduled", "api"}


def test_a_schedule_is_in_utc_unless_it_says() -> None:
    schedule = ScheduleConfig()
    assert (schedule.timezone, schedule.cron_expression, schedule.interval_seconds) == ("UTC", None, None)


@pytest.mark.django_db
def test_the_row_and_the_execution_have_one_id_that_sorts_by_time() -> None:
    deployment = make_deployment()
    ids = [make_queued(deployment).id for _ in range(3)]
    execution = ExecutionLog.objects.get(id=ids[0])
    assert execution.execution_id == execution.id
    assert all(isinstance(given, UUID) and given.version == 7 for given in [*ids, deployment.id])
    assert ids == sorted(ids)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("model", "column"), INDEXED, ids=lambda value: value if isinstance(value, str) else value.__name__
)
def test_every_index_is_in_the_database(model: type[models.Model], column: str) -> None:
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, model._meta.db_table)
    leading = [found for found in constraints.values() if found["index"] and found["columns"][:1] == [column]]
    assert leading, f"No index of {model._meta.db_table} begins with {column}."
    assert column != "endpoint_path" or any(found["unique"] for found in leading)
