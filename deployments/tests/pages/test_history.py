"""The history of executions: what is shown to whom, filters, pages, and counts over time."""

import re
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from access.models import Team
from deployments.deploying import undeploy
from deployments.models import Deployment, ExecutionLog
from deployments.pages.histogram import count_over_time
from deployments.tests import builders
from deployments.tests.builders import make_deployment, make_version
from deployments.tests.pages.conftest import SignIn

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def deployment(db: None) -> Deployment:
    return make_deployment("greet")


def make_ended(
    deployment: Deployment, *, at: datetime = NOON, status: str = "completed", **fields: object
) -> ExecutionLog:
    return builders.make_ended(deployment, at=at, status=status, **{"triggered_by": "key:shop", **fields})


def shown(client: Client, address: str) -> list[str]:
    """The ids of the rows, in their order."""
    answer = client.get(address, headers={"HX-Request": "true"})
    assert answer.status_code == 200, answer.content
    return re.findall(r'<a href="/executions/([0-9a-f-]{36})">', answer.content.decode())


def ids(*executions: ExecutionLog) -> list[str]:
    return [str(execution.id) for execution in executions]


@pytest.mark.parametrize("part", ["", "?part=list", "?part=running", "?part=histogram"])
def test_many_executions_take_no_more_queries_than_one(
    reader: Client,
    deployment: Deployment,
    part: str,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    make_ended(deployment)
    with django_assert_max_num_queries(9) as few:
        reader.get(f"/executions{part}")
    for number in range(60):
        make_ended(make_deployment(f"more/{number}"), status="failed", error="No answer.")
    with django_assert_num_queries(len(few.captured_queries)):
        reader.get(f"/executions{part}")


def test_each_filter_leaves_what_it_says(reader: Client, deployment: Deployment) -> None:
    other = make_deployment("other", version=make_version())
    other.version.number = 7
    other.version.save()
    failed = make_ended(deployment, status="failed", error="The provider answered 503.", error_code="provider_error")
    scheduled = make_ended(deployment, at=NOON + timedelta(hours=1), trigger_type="scheduled", triggered_by="schedule")
    elsewhere = make_ended(other, at=NOON + timedelta(hours=2))
    assert shown(reader, "/executions") == ids(elsewhere, scheduled, failed)
    for query, left in {
        "status=failed": [failed],
        "trigger=scheduled": [scheduled],
        f"deployment={other.id}": [elsewhere],
        "version=7": [elsewhere],
        "search=503": [failed],
        "search=PROVIDER_error": [failed],
        f"search={scheduled.id}": [scheduled],
        "from=2026-01-31T13:00:00Z": [elsewhere, scheduled],
        "to=2026-01-31T14:00:00%2B01:00": [failed],
        "from=2026-01-31T12:30:00Z&to=2026-01-31T13:30:00Z": [scheduled],
        "status=failed&trigger=scheduled": [],
        "status=&version=": [elsewhere, scheduled, failed],
    }.items():
        assert shown(reader, f"/executions?{query}") == ids(*left), query


@pytest.mark.parametrize("query", ["status=lost", "version=two", "from=yesterday", "deployment=mine"])
def test_a_filter_that_is_none_is_said_beside_what_was_typed(
    reader: Client, deployment: Deployment, query: str
) -> None:
    make_ended(deployment)
    answer = reader.get(f"/executions?{query}")
    name, _, typed = query.partition("=")
    text = answer.content.decode()
    assert f"<strong>{name.capitalize()}:</strong>" in text
    assert "<td" not in text
    assert name in ("status", "deployment") or f'value="{typed}"' in text


def test_pages_show_every_execution_once(reader: Client, deployment: Deployment) -> None:
    made = [make_ended(deployment, at=NOON + timedelta(seconds=number // 2)) for number in range(120)]
    address, seen = "/executions?trigger=api", []
    for _ in range(3):
        seen += shown(reader, address)
        found = re.search(r'href="([^"]+)"[^>]*>Older', reader.get(address).content.decode())
        address = found[1].replace("&amp;", "&") if found else ""
    assert address == ""
    assert sorted(seen) == sorted(ids(*made))
    assert len(set(seen)) == 120


def test_a_cursor_that_is_none_is_no_page(reader: Client) -> None:
    assert reader.get("/executions?cursor=abc").status_code == 404


def test_another_teams_executions_are_not_there(reader: Client, deployment: Deployment) -> None:
    theirs = make_deployment("theirs", version=make_version(team=cast("Team", Team.objects.create(name="other"))))
    execution = make_ended(theirs)
    mine = make_ended(deployment)
    assert shown(reader, "/executions") == ids(mine)
    assert "theirs" not in reader.get("/executions").content.decode()
    assert shown(reader, f"/executions?deployment={theirs.id}") == []
    assert 'data-count="1"' not in reader.get(f"/executions?part=histogram&deployment={theirs.id}").content.decode()
    for address in (
        f"/executions/{execution.id}",
        f"/deployments/{theirs.id}/history",
        f"/deployments/{theirs.id}/execute",
    ):
        assert reader.get(address, headers={"HX-Request": "true"}).status_code == 404, address


def test_who_may_not_view_sees_no_history(sign_in: SignIn) -> None:
    client = sign_in(rights=("execute_deployments",))
    assert client.get("/executions").status_code == 403


def test_an_empty_history_says_why_it_is(reader: Client, deployment: Deployment) -> None:
    nothing, filtered = (reader.get(f"/executions{query}").content.decode() for query in ("", "?status=failed"))
    assert "Nothing has run yet." in nothing
    assert "No execution matches." in filtered
    dialog = reader.get(f"/deployments/{deployment.id}/history", headers={"HX-Request": "true"}).content.decode()
    assert "Nothing has run here yet." in dialog


def test_what_runs_now_stands_above(reader: Client, deployment: Deployment) -> None:
    running = make_ended(deployment, status="queued", completed_at=None)
    ended = make_ended(deployment, at=NOON + timedelta(hours=1))
    assert shown(reader, "/executions") == ids(running, ended, running)
    assert shown(reader, "/executions?part=running") == ids(running)


def test_an_undeployed_deployments_history_is_still_found(reader: Client, deployment: Deployment) -> None:
    execution = make_ended(deployment)
    undeploy(deployment_id=deployment.id, by="user:ann")
    page = reader.get(f"/executions?deployment={deployment.id}").content.decode()
    assert str(execution.id) in page
    assert "(undeployed)" in page
    dialog = reader.get(f"/deployments/{deployment.id}/history", headers={"HX-Request": "true"}).content.decode()
    assert str(execution.id) in dialog


def test_a_dialogs_address_leads_to_the_page(reader: Client, deployment: Deployment) -> None:
    answer = reader.get(f"/deployments/{deployment.id}/history")
    assert answer.headers["Location"] == f"/executions?deployment={deployment.id}"


def test_a_dialog_shows_its_deployment_whatever_else_is_asked(reader: Client, deployment: Deployment) -> None:
    other = make_deployment("other")
    mine, _ = make_ended(deployment), make_ended(other)
    address = f"/deployments/{deployment.id}/history?part=list&deployment={other.id}"
    assert shown(reader, address) == ids(mine)


@pytest.mark.parametrize(
    ("after", "width"),
    [
        (NOON - timedelta(seconds=40), timedelta(seconds=1)),
        (NOON - timedelta(hours=1), timedelta(minutes=1)),
        (NOON - timedelta(days=2), timedelta(hours=1)),
        (NOON - timedelta(days=50), timedelta(days=1)),
    ],
)
def test_counts_over_time_count_each_once_at_its_place(
    deployment: Deployment, after: datetime, width: timedelta
) -> None:
    """An instant on an edge belongs to the bucket that it begins."""
    since_midnight = (NOON - NOON.replace(hour=0)) % width
    edge = NOON - since_midnight - 5 * width
    for at in (edge, edge + width - timedelta(microseconds=1), edge + width):
        make_ended(deployment, at=at)
    make_ended(deployment, at=edge, status="failed")
    histogram = count_over_time(ExecutionLog.objects.all(), after=after, before=NOON, now=timezone.now())
    filled = {bar.start: (bar.count, bar.failed) for bar in histogram.bars if bar.count}
    assert filled == {edge: (3, 1), edge + width: (1, 0)}
    assert all(bar.end - bar.start == width for bar in histogram.bars)
    assert histogram.start <= after
    assert histogram.end >= NOON
    assert (histogram.count, histogram.failed) == (4, 1)


def test_a_range_that_ends_before_it_begins_counts_nothing(reader: Client, deployment: Deployment) -> None:
    make_ended(deployment)
    query = "from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z"
    assert shown(reader, f"/executions?{query}") == []
    assert reader.get(f"/executions?part=histogram&{query}").status_code == 200
