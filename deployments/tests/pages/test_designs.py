"""The list of designs: what it shows, to whom, and at which cost."""

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from access.models import Team
from access.principal import Verb
from access.principal_of import PERMISSION_OF
from deployments.tests.builders import make_deployment, make_version, one_agent_document
from designs.models import OrchestrationDesign
from designs.samples import load_samples
from designs.tests.builders import make_person
from executor.document import parse_design

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(client: Client, address: str = "/designs") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def rows_of(page: str) -> list[str]:
    return re.findall(r'class="design-name">\s*<a href="[^"]*">([^<]*)<', page)


def add(*names: str, team: Any = None, **fields: Any) -> None:
    for name in names:
        document = one_agent_document(name=name, **fields)
        OrchestrationDesign.objects.create(team=team or Team.default(), name=name, draft=document)


def test_a_person_sees_the_designs_of_their_teams_and_no_others() -> None:
    add("Ours")
    add("Theirs", team=Team.objects.get_or_create(name="other")[0])
    OrchestrationDesign.objects.create(team=Team.default(), name="Gone", draft=one_agent_document())
    OrchestrationDesign.objects.filter(name="Gone").update(deleted_at="2026-01-01T00:00:00Z")
    assert rows_of(page_of(signed_in(make_person("alice", "view")))) == ["Ours"]


def test_who_may_not_change_designs_is_offered_no_change() -> None:
    add("Ours")
    page = page_of(signed_in(make_person("alice", "view")))
    assert "Export" in page
    for action in ("New design", "Duplicate", "Delete", "Deploy Ours", "Use this sample"):
        assert action not in page
    page = page_of(signed_in(make_person("bob", "view", "change", "deploy")))
    for action in ("New design", "Duplicate", "Delete", "Deploy Ours", "Use this sample"):
        assert action in page


def member_of(*teams: Any) -> Client:
    user = User.objects.create_user("carol")
    user.groups.set(teams)
    return signed_in(user)


def team_with(name: str, *verbs: Verb) -> Any:
    team = Team.objects.get_or_create(name=name)[0]
    for verb in verbs:
        team.permissions.add(Permission.objects.get(codename=PERMISSION_OF[verb].removeprefix("access.")))
    return team


def test_what_may_be_done_in_one_team_is_not_offered_in_another() -> None:
    sales, legal = team_with("sales", "view", "change", "deploy"), team_with("legal", "view")
    add("Ours", team=sales)
    add("Only read", team=legal)
    page = page_of(member_of(sales, legal))
    assert set(rows_of(page)) == {"Ours", "Only read"}
    for action in ("Duplicate", "Delete", "Deploy"):
        assert f'aria-label="{action} Ours"' in page
        assert f'aria-label="{action} Only read"' not in page
    assert "data-team" not in page  # new ones can go to the one team only


def test_who_may_make_designs_in_several_teams_chooses_one() -> None:
    page = page_of(
        member_of(team_with("sales", "view", "change"), team_with("default", "change"), team_with("legal", "change"))
    )
    assert re.findall(r"<option>(.*?)</option>", page) == ["default", "legal", "sales"]


def test_a_design_shows_its_version_its_problems_and_where_it_is_deployed() -> None:
    make_deployment("greet", version=make_version(one_agent_document(name="Deployed")))
    add("Broken", model="nobody:model")
    page = page_of(signed_in(make_person("alice", "view")))
    broken, deployed = page.split("Deployed</a>")
    assert "1 problem<" in broken
    assert "none yet" in broken
    assert "nowhere" in broken
    assert "Ready" in deployed
    assert "v1" in deployed
    assert "/api/deployed/greet" in deployed


def test_another_account_makes_a_design_ready_at_once() -> None:
    alice = make_person("alice", "view", "change")
    add("Later", model="mine:model")
    client = signed_in(alice)
    assert "1 problem<" in page_of(client)
    made = client.post("/api/providers", {"name": "mine", "kind": "openai"}, content_type="application/json")
    assert made.status_code == 201
    assert "Ready" in page_of(client)


def test_the_search_looks_at_names_and_descriptions() -> None:
    add("Apples", "Pears")
    OrchestrationDesign.objects.filter(name="Pears").update(description="No apples.")
    add("Plums")
    client = signed_in(make_person("alice", "view"))
    assert rows_of(page_of(client, "/designs?search=apple")) == ["Pears", "Apples"]
    assert "No design has “kiwi”" in page_of(client, "/designs?search=kiwi")


def test_a_long_list_comes_in_pages_and_costs_the_same_queries(django_assert_num_queries: Any) -> None:
    client = signed_in(make_person("alice", "view"))
    add("Only")
    page_of(client)
    add(*(f"Design {number}" for number in range(60)))
    for design in OrchestrationDesign.objects.filter(name__contains="1"):
        make_deployment(f"path-{design.name[7:]}", version=make_version(one_agent_document(name=f"v{design.name}")))
    with django_assert_num_queries(10):
        first = page_of(client)
    assert len(rows_of(first)) == 50
    assert "Page 1 of 2" in first
    rest = rows_of(page_of(client, "/designs?page=2"))
    assert len(rest) + 50 == OrchestrationDesign.objects.count()
    assert not set(rest) & set(rows_of(first))


def test_samples_are_handed_out_as_documents() -> None:
    client = signed_in(make_person("alice", "view"))
    for sample in load_samples():
        document = json.loads(client.get(f"/designs/samples/{sample.endpoint_path}").content)
        assert parse_design(document) == sample.design
    assert client.get("/designs/samples/nothing").status_code == 404


def test_nobody_sees_it_without_signing_in() -> None:
    answer = Client().get("/designs")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in")
