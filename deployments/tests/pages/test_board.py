"""The deployments page: what it shows to whom, in how many queries, and what it says of a deployment."""

import html
import itertools
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries

from access.models import Team
from access.principal import Verb
from deployments.deploying import DeploymentChanges, update_deployment
from deployments.models import Deployment
from deployments.pages.board import PAGE_SIZE, Outcomes
from deployments.tests import builders
from deployments.tests.builders import make_deployment, make_schedule, make_version, one_agent_document
from designs.drafts import save_draft
from designs.tests.builders import make_person
from executor.document import parse_design

pytestmark = pytest.mark.django_db
#: The session, who it is, and what they may; then counts, rows, outcomes, durations and who asked for what ran.
QUERIES = 11
_numbers = itertools.count()


def client_with(*verbs: Verb, team: str = "default") -> Client:
    client = Client()
    client.force_login(make_person(f"person-{next(_numbers)}", *verbs, team=team))
    return client


def make_team(name: str) -> Team:
    made: Team = Team.objects.create(name=name)  # type: ignore[assignment] # the stubs inherit Group's manager
    return made


def read(client: Client, address: str = "/") -> str:
    response = client.get(address)
    assert response.status_code == 200, response.content
    return response.content.decode()


def text_of(page: str) -> str:
    return " ".join(html.unescape(strip_tags(page)).split())


def names(page: str) -> list[str]:
    """Of the cards, as a reader sees them."""
    return [text_of(name) for name in re.findall(r'<h2 id="name-[^"]+">(.*?)</h2>', page, re.DOTALL)]


def offers(page: str) -> set[str]:
    """What the cards' buttons open."""
    return set(re.findall(r'hx-get="/deployments/[-0-9a-f]{36}/(\w+)"', page))


def make_ended(
    deployment: Deployment, status: str, *, duration_ms: int = 10, hours_ago: float = 1, **fields: Any
) -> None:
    at = timezone.now() - timedelta(hours=hours_ago)
    builders.make_ended(deployment, at=at, status=status, duration_ms=duration_ms, **fields)


@pytest.mark.parametrize("count", [1, 30])
def test_however_many_are_deployed_the_queries_are_the_same(
    count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_with("view", "execute", "change", "deploy")
    for number in range(count):
        deployment = make_deployment(f"greet-{number}")
        make_schedule(deployment)
        make_ended(deployment, "completed")
    with django_assert_num_queries(QUERIES):
        page = read(client)
    assert len(names(page)) == count


def test_what_another_team_has_is_not_shown_nor_counted_nor_drawn_anew() -> None:
    make_deployment("ours", version=make_version(one_agent_document(name="Ours")))
    other = make_team("other")
    theirs = make_deployment("theirs", version=make_version(one_agent_document(name="Theirs"), team=other))
    make_ended(theirs, "completed")
    client = client_with("view")
    page = read(client)
    assert names(page) == ["Ours"]
    assert "All (1)" in page
    assert names(read(client, f"/deployments/cards?id={theirs.id}")) == []
    assert names(read(client, "/?search=theirs")) == []


def test_an_undeployed_one_is_not_shown() -> None:
    make_deployment("gone", deleted_at=timezone.now())
    page = read(client_with("view"))
    assert names(page) == []
    assert "Nothing is deployed" in page


@pytest.mark.parametrize(
    ("verbs", "offered"),
    [
        (("view",), {"history", "call"}),
        (("view", "execute"), {"execute", "history", "call"}),
        (("view", "change"), {"configure", "history", "call"}),
        (("view", "deploy"), {"history", "call", "delete"}),
    ],
)
@pytest.mark.parametrize("layout", ["cards", "table"])
def test_only_what_the_reader_may_do_is_offered(verbs: tuple[Verb, ...], offered: set[str], layout: str) -> None:
    make_deployment()
    client = client_with(*verbs)
    client.cookies["layout"] = layout
    page = read(client)
    assert offers(page) == offered
    assert ('hx-get="/deployments/new"' in page) == ("deploy" in verbs)


def test_who_may_see_nothing_is_told_which_right_is_needed() -> None:
    assert client_with("execute").get("/").status_code == 403


def test_a_search_a_status_and_an_order_narrow_the_list_and_its_address() -> None:
    for path, status in (("alpha", "active"), ("beta", "inactive"), ("alphabet", "inactive")):
        make_deployment(path, version=make_version(one_agent_document(name=path.title())), status=status)
    client = client_with("view")
    assert names(read(client, "/?sort=name")) == ["Alpha", "Alphabet", "Beta"]
    assert names(read(client, "/?search=alpha&status=inactive")) == ["Alphabet"]
    assert names(read(client, "/?status=nonsense&sort=nonsense&page=nonsense&search=%00")) == [
        "Alphabet",
        "Beta",
        "Alpha",
    ]
    response = client.get("/?search=alpha&status=&sort=newest&page=1", headers={"HX-Request": "true"})
    assert response["HX-Push-Url"] == "/?search=alpha"
    assert b"<html" not in response.content
    assert "HX-Request" in response["Vary"]


def test_a_page_that_htmx_restores_from_the_history_is_whole() -> None:
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert b"<html" in client_with("view").get("/", headers=headers).content


def test_a_long_list_comes_in_pages() -> None:
    version = make_version()
    for number in range(PAGE_SIZE + 2):
        make_deployment(f"greet-{number}", version=version)
    client = client_with("view")
    first = read(client)
    (later,) = re.findall(r'<a class="button" rel="next" href="([^"]+)"', first)
    second = read(client, later)
    assert (len(names(first)), len(names(second))) == (PAGE_SIZE, 2)
    assert 'rel="prev" href="/"' in second


def test_the_layout_that_was_chosen_is_drawn_by_the_server() -> None:
    make_deployment()
    client = client_with("view")
    assert "<article" in read(client)
    client.cookies["layout"] = "table"
    assert "<tr data-deployment=" in read(client)
    client.cookies["layout"] = "nonsense"
    assert "<article" in read(client)


def test_the_outcomes_of_the_last_day_are_counted_and_no_older_ones() -> None:
    deployment = make_deployment()
    for duration in range(100, 2100, 100):  # the 19th of 20 is the 95th percentile by the nearest rank
        make_ended(deployment, "completed", duration_ms=duration)
    make_ended(deployment, "failed")
    make_ended(deployment, "skipped")
    make_ended(deployment, "failed", hours_ago=25)
    page = read(client_with("view"))
    assert 'aria-label="20 completed, 1 failed, 1 cancelled or skipped in the last day"' in page
    assert "95.2 % succeeded, p95 1.9 s" in text_of(page)


def test_one_failure_among_very_many_is_not_rounded_away() -> None:
    assert Outcomes(completed=99_999, failed=1).success_rate == 99.9


def test_a_status_says_its_reason_and_a_schedule_its_words() -> None:
    deployment = make_deployment(status="error", status_reason="It failed 5 times in a row.")
    make_schedule(deployment, cron_expression="0 9 * * *", timezone="Europe/Berlin")
    text = text_of(read(client_with("view")))
    assert "Error It failed 5 times in a row." in text
    assert "At 09:00 every day (Europe/Berlin)" in text


def test_the_last_run_is_the_latest_one_with_its_outcome() -> None:
    deployment = make_deployment(last_execution_at=timezone.now())
    make_ended(deployment, "completed", hours_ago=2)
    make_ended(deployment, "failed", hours_ago=1)
    assert re.findall(r'<a class="state" data-state="(\w+)"', read(client_with("view"))) == ["failed"]


def test_a_design_that_was_edited_since_offers_the_update_and_one_that_was_not_does_not() -> None:
    document = one_agent_document()
    deployment = make_deployment(version=make_version(document))
    client = client_with("view", "change", "deploy")
    save_draft(design=deployment.design, parsed=parse_design(document))
    assert "newer" not in read(client)
    document["description"] = "Another."
    save_draft(design=deployment.design, parsed=parse_design(document))
    assert "was edited after version 1" in read(client)
    update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(version="latest"), by="user:test")
    assert "newer" not in read(client)
    update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(version=1), by="user:test")
    assert "Version 2 is there; 1 is deployed." in read(client)


def test_the_first_visit_has_one_next_step_until_somebody_has_executed() -> None:
    deployment = make_deployment()
    client = client_with("view", "execute")
    make_ended(deployment, "completed", trigger_type="scheduled")
    assert "Everything is ready" in read(client)
    make_ended(deployment, "completed", trigger_type="manual")
    assert "Everything is ready" not in read(client)


def test_a_name_with_markup_in_it_stays_text() -> None:
    make_deployment(version=make_version(one_agent_document(name="<script>alert(1)</script>")))
    page = read(client_with("view"))
    assert names(page) == ["<script>alert(1)</script>"]
