"""Searches of the history: bounded, whatever is asked, and complete when they are followed to their end."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIRequestFactory, force_authenticate

from access.models import Team
from access.principal import ALL, Principal
from deployments.api.executions import ExecutionViewSet
from deployments.models import Deployment, ExecutionLog
from deployments.models.execution import ExecutionLogQuerySet
from deployments.tests import builders
from deployments.tests.builders import make_deployment, make_version
from rest.async_view import AwaitMixin

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
#: Executions that one page, one count looks at in these tests.
STEP = 5


@pytest.fixture
def deployment(db: None) -> Deployment:
    return make_deployment("greet")


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExecutionLogQuerySet, "SEARCH_STEP", STEP)


def make_ended(deployment: Deployment, *, hours_ago: float = 0, **fields: object) -> ExecutionLog:
    at = NOON - timedelta(hours=hours_ago)
    return builders.make_ended(deployment, at=at, **{"triggered_by": "key:shop", **fields})  # type: ignore[arg-type] # by name


def make_haystack(deployment: Deployment, needles: tuple[int, ...] = (3, 11, 12, 22), **fields: object) -> list[str]:
    """Thirty executions, two at an instant, of which the needles have these fields; the needles' ids, newest first."""
    found = []
    for number in range(30):
        made = make_ended(deployment, hours_ago=number // 2, **(fields if number in needles else {}))
        found += [made] if number in needles else []
    return [str(row.id) for row in sorted(found, key=lambda row: (row.created_at, row.id), reverse=True)]


def rows_of(page: str) -> list[str]:
    return re.findall(r'<a href="/executions/([0-9a-f-]{36})">', page)


def follow_pages(client: Client, query: str) -> list[list[str]]:
    """The rows of each page, from the first to where no other follows."""
    address, pages = f"/executions?{query}", []
    while address:
        page = client.get(address).content.decode()
        pages.append(rows_of(page))
        older = re.search(r'href="([^"]+)"[^>]*>(?:Older|Search further back)<', page)
        address = older[1].replace("&amp;", "&") if older else ""
    return pages


def follow_api(query: str) -> list[list[str]]:
    """The same over REST, for one who sees all."""
    # The list itself, without the threads that a server runs it in: they would not see this test's rows.
    view = super(AwaitMixin, ExecutionViewSet).as_view({"get": "list"})
    address, pages = f"/api/executions?{query}", []
    while address:
        request = APIRequestFactory().get(address)
        force_authenticate(request, AnonymousUser(), Principal(ALL, ALL, "user:test"))  # type: ignore[arg-type] # as a token
        answer = view(request)
        assert answer.status_code == 200
        pages.append([str(row["execution_id"]) for row in answer.data["results"]])
        address = answer.data["next"]
    return pages


SEARCHES: list[tuple[dict[str, Any], str, str]] = [
    ({"error": "The provider answered 503."}, "search=503", "search=503"),
    ({"triggered_by": "user:ann"}, "search=ANN", "search=ANN"),
    ({"error_code": "provider_error"}, "search=Provider_Error", "search=Provider_Error"),
    ({"trigger_type": "scheduled"}, "trigger=scheduled", "trigger_type=scheduled"),
]


@pytest.mark.usefixtures("short_steps")
@pytest.mark.parametrize(("fields", "of_page", "of_api"), SEARCHES)
def test_a_search_that_is_followed_finds_each_once_and_in_order(
    reader: Client, deployment: Deployment, fields: dict[str, Any], of_page: str, of_api: str
) -> None:
    needles = make_haystack(deployment, **fields)
    for pages in (follow_pages(reader, of_page), follow_api(of_api), follow_api(f"{of_api}&limit=1")):
        assert [found for page in pages for found in page] == needles
    assert len(follow_pages(reader, of_page)) == 6


@pytest.mark.usefixtures("short_steps")
def test_of_many_at_one_instant_none_is_left_out_and_none_comes_twice(reader: Client, deployment: Deployment) -> None:
    """A step may end between them."""
    made = [str(make_ended(deployment, error="503").id) for _ in range(12)]
    for pages in (follow_pages(reader, "search=503"), follow_api("search=503")):
        assert [found for page in pages for found in page] == sorted(made, reverse=True)
        assert [len(page) for page in pages] == [5, 5, 2]


@pytest.mark.usefixtures("short_steps")
def test_versions_and_designs_are_searched_for_too(reader: Client, deployment: Deployment) -> None:
    other = make_deployment("other", version=make_version())
    other.version.number = 7
    other.version.save()
    make_haystack(deployment, needles=())
    needle = str(make_ended(other, hours_ago=9).id)
    for pages in (
        follow_pages(reader, "version=7"),
        follow_api("version=7"),
        follow_api(f"design_id={other.design_id}"),
    ):
        assert [found for page in pages for found in page] == [needle]
        assert pages[0] == []


@pytest.mark.usefixtures("short_steps")
def test_two_filters_are_searched_for_among_what_an_index_leads_to(reader: Client, deployment: Deployment) -> None:
    """The status leads to seven; in two steps they are looked through, whatever lies between them."""
    make_haystack(deployment, needles=(), error="")
    for number in range(7):
        make_ended(deployment, hours_ago=20 + number, status="failed", error="503" if number == 6 else "429")
    assert [len(page) for page in follow_pages(reader, "status=failed&search=503")] == [0, 1]


@pytest.mark.usefixtures("short_steps")
@pytest.mark.parametrize("query", ["status=failed", "to=2026-01-31T01:00:00Z", "deployment={other}", "search={id}"])
def test_what_an_index_leads_to_is_on_the_first_page(reader: Client, deployment: Deployment, query: str) -> None:
    make_haystack(deployment, needles=())
    other = make_deployment("other")
    needle = make_ended(other, hours_ago=30, status="failed")
    page = reader.get(f"/executions?{query.format(other=other.id, id=needle.id)}").content.decode()
    assert str(needle.id) in rows_of(page)
    assert "Searched back to" not in page


@pytest.mark.usefixtures("short_steps")
def test_a_page_that_found_nothing_says_how_far_it_looked_and_goes_on(reader: Client, deployment: Deployment) -> None:
    make_haystack(deployment, needles=(22,), error="503")
    page = reader.get("/executions?search=503").content.decode()
    assert "Searched back to" in page
    assert "2026-01-31 10:00:00" in page  # of the fifth
    assert "No execution matches" not in page
    going_on = re.search(r'hx-get="([^"]+part=found)"[^>]*hx-trigger="click, load[^"]*"', page)
    assert going_on
    part = reader.get(going_on[1].replace("&amp;", "&"), headers={"HX-Request": "true"}).content.decode()
    assert part.strip().startswith('<div class="history-found')
    assert "2026-01-31 07:00:00" in part or "2026-01-31 08:00:00" in part


@pytest.mark.usefixtures("short_steps")
def test_a_page_that_found_some_waits_to_be_asked(reader: Client, deployment: Deployment) -> None:
    needles = make_haystack(deployment, needles=(1,), error="503")
    page = reader.get("/executions?search=503").content.decode()
    assert rows_of(page) == needles
    assert "there may be older ones" in page
    assert "Search further back" in page
    assert "load delay" not in page


@pytest.mark.usefixtures("short_steps")
def test_nothing_is_said_only_when_all_was_looked_at(reader: Client, deployment: Deployment) -> None:
    for number in range(STEP):
        make_ended(deployment, hours_ago=number)
    assert "No execution matches" in reader.get("/executions?search=503").content.decode()
    make_ended(deployment, hours_ago=STEP)
    address, page = "/executions?search=503", ""
    for _ in range(2):
        page = reader.get(address).content.decode()
        going_on = re.search(r'href="([^"]+)"[^>]*>Search further back', page)
        address = going_on[1].replace("&amp;", "&") if going_on else ""
    assert address == ""
    assert "No older execution matches" in page


@pytest.mark.usefixtures("short_steps")
def test_counts_say_how_far_back_they_go(reader: Client, deployment: Deployment) -> None:
    make_haystack(deployment, needles=(3, 22), error="503")
    day = "from=2026-01-31T00:00:00Z&to=2026-02-01T00:00:00Z"
    counts = reader.get(f"/executions?part=histogram&search=503&{day}").content.decode()
    assert "<strong>1 execution</strong>" in counts
    assert "At least" in counts
    assert "Counted back to" in counts
    assert "2026-01-31 10:00:00" in counts
    bars = re.findall(r'data-start="([^"]+)"[^>]*?( data-partly)?>', counts)
    assert {partly for start, partly in bars if start < "2026-01-31T10"} == {" data-partly"}
    assert {partly for start, partly in bars if start >= "2026-01-31T10"} == {""}
    older = reader.get("/executions?part=histogram&search=503&to=2026-01-31T02:00:00Z&from=2026-01-31T00:00:00Z")
    assert "<strong>1 execution</strong>" in older.content.decode()
    assert "Counted back to" not in older.content.decode()


@pytest.mark.usefixtures("short_steps")
@pytest.mark.parametrize("query", ["", "&status=failed", "&deployment={id}"])
def test_counts_of_what_an_index_leads_to_are_whole(reader: Client, deployment: Deployment, query: str) -> None:
    make_haystack(deployment, needles=tuple(range(30)), status="failed")
    address = f"/executions?part=histogram&to=2026-02-01T00:00:00Z{query.format(id=deployment.id)}"
    counts = reader.get(address).content.decode()
    assert "<strong>30 executions</strong>" in counts
    assert "Counted back to" not in counts


def test_a_whole_id_finds_its_execution_alone_and_any_other_id_what_quotes_it(
    reader: Client, deployment: Deployment
) -> None:
    wanted, request = make_ended(deployment), uuid4()
    make_ended(deployment, error=f"The parent {wanted.id} was undeployed.")
    quoting = make_ended(deployment, error=f"The provider answered 503 to {request}.")
    for query, found in {f"search={wanted.id}": wanted, f"search={request}": quoting}.items():
        assert follow_pages(reader, query) == [[str(found.id)]]
        assert follow_api(query) == [[str(found.id)]]


def test_another_teams_execution_is_not_found_by_its_id(reader: Client, deployment: Deployment) -> None:
    team = cast("Team", Team.objects.create(name="other"))
    theirs = make_ended(make_deployment("theirs", version=make_version(team=team)))
    assert follow_pages(reader, f"search={theirs.id}") == [[]]


def test_a_version_that_no_design_has_is_looked_for_in_no_execution(deployment: Deployment) -> None:
    make_ended(deployment)
    with CaptureQueriesContext(connection) as made:
        assert follow_api("version=77") == [[]]
    assert not [query for query in made.captured_queries if "deployments_executionlog" in query["sql"]]


@pytest.mark.usefixtures("short_steps")
@pytest.mark.parametrize("query", ["search=503", "version=1", "trigger=api", "part=histogram&search=503"])
def test_a_search_takes_the_same_queries_however_much_there_is(
    reader: Client, deployment: Deployment, query: str
) -> None:
    make_haystack(deployment, needles=(3,), error="503")
    with CaptureQueriesContext(connection) as few:
        reader.get(f"/executions?{query}")
    make_haystack(make_deployment("other"), needles=(3,), error="503")
    with CaptureQueriesContext(connection) as many:
        reader.get(f"/executions?{query}")
    assert len(many) == len(few) <= 12
