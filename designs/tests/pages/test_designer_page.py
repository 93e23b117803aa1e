"""What the server gives the canvas, and to whom."""

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import Team
from designs.models import OrchestrationDesign, ProviderAccount
from designs.tests.builders import client_of, document, make_person
from designs.versions import freeze_version
from executor.patterns import PATTERNS

pytestmark = pytest.mark.django_db


def make_design(name: str = "Greeter", team: Any = None) -> OrchestrationDesign:
    return OrchestrationDesign.objects.create(team=team or Team.default(), name=name, draft=document(name))


def visit(user: User, design: OrchestrationDesign) -> Any:
    client = Client()
    client.force_login(user)
    return client.get(f"/designs/{design.pk}")


def island_of(answer: Any) -> dict[str, Any]:
    found = re.search(r'<script id="designer-page" type="application/json">(.*?)</script>', answer.content.decode())
    assert found
    island: dict[str, Any] = json.loads(found[1])
    return island


def test_the_page_tells_each_patterns_fields_and_the_teams_models() -> None:
    prices = {"small": {"input": "1", "output": "2"}}
    ProviderAccount.objects.create(team=Team.default(), name="mine", kind="openai", prices=prices)
    other = Team.objects.create(name="other")
    ProviderAccount.objects.create(team=other, name="theirs", kind="openai", prices=prices)
    island = island_of(visit(make_person("alice", "view", "change"), make_design()))
    assert list(island["patterns"]) == list(PATTERNS)
    assert set(island["patterns"]["routing"]["properties"]) == set(PATTERNS["routing"].config.model_fields)
    assert island["models"] == ["offline:demo", "mine:small"]
    assert "mine" in island["accounts"]
    assert "theirs" not in island["accounts"]
    assert island["may"] == {"change": True, "execute": False, "deploy": False}


def test_a_name_of_markup_is_text() -> None:
    page = visit(make_person("alice", "view"), make_design("</script><b>x")).content.decode()
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page


def test_a_design_of_another_team_is_not_there() -> None:
    theirs = make_design(team=Team.objects.get_or_create(name="other")[0])
    assert visit(make_person("alice", "view"), theirs).status_code == 404


def test_what_the_draft_changes_of_a_version_is_told_to_those_who_may_see_it() -> None:
    design = make_design()
    freeze_version(design=design, created_by="user:test")
    alice, bob = make_person("alice", "view"), make_person("bob", "view", team="other")

    def ask(user: User, number: int) -> Any:
        return client_of(user).get(f"/designs/{design.pk}/versions/{number}/differences")

    assert b"The draft is the same." in ask(alice, 1).content
    design.draft["blocks"][0]["data"]["task"] = "<b>Greet nobody.</b>"
    design.save()
    told = ask(alice, 1).content.decode()
    assert "Block Greet: task" in told
    assert "<ins>&lt;b&gt;Greet nobody.&lt;/b&gt;</ins>" in told
    assert [ask(alice, number).status_code for number in (2, 10**30)] == [404, 404]
    assert ask(bob, 1).status_code == 404


def test_opening_a_design_costs_few_queries_and_reads_no_draft(django_assert_num_queries: Any) -> None:
    alice, design = make_person("alice", "view"), make_design()
    client = Client()
    client.force_login(alice)
    with django_assert_num_queries(8) as queries:
        client.get(f"/designs/{design.pk}")
    assert not [query for query in queries.captured_queries if '"draft"' in query["sql"]]
