"""The history is read by its indexes, by a superuser and by a team's member: so says EXPLAIN of some thousand rows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from deployments.models import Deployment, ExecutionLog
from deployments.models.execution import ExecutionLogQuerySet
from deployments.tests.builders import make_deployment
from deployments.tests.pages.conftest import SignIn

# With commits: PostgreSQL reads from an index alone only what it has vacuumed.
pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ROWS, DEPLOYMENTS = 4_000, 20
INDEX_ONLY = {"sqlite": "USING COVERING INDEX", "postgresql": "Index Only Scan"}
#: At noon of the day before.
CURSOR = "MTc2OTc3NDQwMDAwMDAwMC4wMTljMDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDA"


@pytest.fixture
def lookers(sign_in: SignIn) -> dict[str, Client]:
    superuser = Client()
    superuser.force_login(User.objects.create_superuser("root"))
    of_two_teams = sign_in("bob")
    User.objects.get(username="bob").groups.add(Group.objects.create(name="other"))
    return {"superuser": superuser, "member": sign_in(), "member of two teams": of_two_teams}


@pytest.fixture
def deployment(db: None) -> Deployment:
    """One of several that have a history together."""
    deployments = [make_deployment(f"path/{number}") for number in range(DEPLOYMENTS)]
    ExecutionLog.objects.bulk_create(_row(deployments[number % DEPLOYMENTS], number) for number in range(ROWS))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return deployments[0]


def _row(deployment: Deployment, number: int) -> ExecutionLog:
    return ExecutionLog(
        team_id=deployment.team_id,
        deployment=deployment,
        design_id=deployment.design_id,
        version_id=deployment.version_id,
        status=_status(number),
        trigger_type="api",
        triggered_by="key:shop",
        input_data={"text": "word " * 200},
        created_at=NOON - timedelta(minutes=number),
        completed_at=NOON,
    )


def _status(number: int) -> str:
    """A twentieth fails, and only the oldest were cancelled."""
    return "cancelled" if number > ROWS - 20 else "failed" if number % 23 == 0 else "completed"


def plans_of(lookers: dict[str, Client], *addresses: str) -> Iterator[tuple[str, list[str]]]:
    """How the database reads executions for each looker at each address, a text for each of its queries."""
    for who, client in lookers.items():
        for address in addresses:
            with CaptureQueriesContext(connection) as made:
                assert client.get(address).status_code == 200
            asked = [query["sql"] for query in made.captured_queries]
            yield f"{who} {address}", [_explain(sql) for sql in asked if 'FROM "deployments_executionlog"' in sql]


def _explain(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN' if connection.vendor == 'postgresql' else 'EXPLAIN QUERY PLAN'} {sql}")
        return "\n".join(str(line[-1]) for line in cursor.fetchall())


def test_counts_read_nothing_but_an_index(lookers: dict[str, Client], deployment: Deployment) -> None:
    counts = "/executions?part=histogram&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z"
    of_one = f"{counts}&deployment={deployment.id}"
    for asked, (plan,) in plans_of(lookers, counts, f"{counts}&status=failed", of_one, f"{of_one}&status=failed"):
        assert INDEX_ONLY[connection.vendor] in plan, asked
        assert " execution_by_" in plan, asked


def test_how_far_a_step_goes_is_read_from_nothing_but_an_index(
    lookers: dict[str, Client], deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExecutionLogQuerySet, "SEARCH_STEP", 100)
    search = "/executions?part=found&search=nothing"
    more = (f"&deployment={deployment.id}", "&status=completed", "&to=2026-02-01T00:00:00Z", f"&cursor={CURSOR}")
    for asked, (end_of_step, page) in plans_of(lookers, search, *(search + query for query in more)):
        assert INDEX_ONLY[connection.vendor] in end_of_step, asked
        assert " execution_by_" in page, asked
        assert "Seq Scan on deployments_executionlog" not in page, asked


def test_pages_are_read_in_the_order_of_an_index(lookers: dict[str, Client], deployment: Deployment) -> None:
    """What has to be sorted has been read whole."""
    page = "/executions?part=found"
    more = (f"&deployment={deployment.id}", "&status=failed", "&from=2026-01-01T00:00:00Z", f"&cursor={CURSOR}")
    for asked, (plan,) in plans_of(lookers, page, *(page + query for query in more)):
        assert " execution_by_" in plan, asked
        assert "Seq Scan on deployments_executionlog" not in plan, asked
        assert "TEMP B-TREE FOR ORDER BY" not in plan, asked
        assert "->  Sort" not in plan, asked


def test_what_has_a_status_is_found_however_long_ago(lookers: dict[str, Client], deployment: Deployment) -> None:
    for asked, (plan,) in plans_of(lookers, "/executions?part=found&status=cancelled"):
        assert " execution_by_status" in plan, asked
