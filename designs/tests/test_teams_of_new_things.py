"""Designs and accounts of people in several teams: each goes where it was meant to go, and is shown with its team."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from access.models import Team
from access.principal import Verb
from access.principal_of import PERMISSION_OF
from designs.models import OrchestrationDesign, ProviderAccount
from designs.tests.builders import client_of, document

pytestmark = pytest.mark.django_db

ACCOUNT = {"name": "acme", "kind": "openai"}


def team_with(name: str, *verbs: Verb) -> Any:
    team = Team.objects.create(name=name)
    for verb in verbs:
        team.permissions.add(Permission.objects.get(codename=PERMISSION_OF[verb].removeprefix("access.")))
    return team


@pytest.fixture
def client() -> APIClient:
    """Of somebody who may change what belongs to sales and to legal, and see what belongs to support."""
    user = User.objects.create_user("alice")
    user.groups.set(
        [team_with("sales", "view", "change"), team_with("legal", "view", "change"), team_with("support", "view")]
    )
    team_with("secret", "view", "change")
    return client_of(user)


def refusal(answer: Any) -> tuple[int, str, str]:
    (error,) = answer.json()["errors"]
    return answer.status_code, error["pointer"], error["code"]


def test_a_design_goes_to_the_team_that_is_named(client: APIClient) -> None:
    made = client.post("/api/designs?team=legal", document(), format="json")
    assert (made.status_code, made.json()["team"]) == (201, "legal")
    assert OrchestrationDesign.objects.get().team.name == "legal"
    (row,) = client.get("/api/designs").json()["results"]
    assert row["team"] == "legal"
    assert client.post("/api/designs/validate?team=support", document(), format="json").status_code == 200


def test_an_account_goes_to_the_team_that_is_named_and_stays_there(client: APIClient) -> None:
    made = client.post("/api/providers", {**ACCOUNT, "team": "legal"}, format="json")
    assert (made.status_code, made.json()["team"]) == (201, "legal")
    address = made["Location"]
    kept = client.put(address, {**ACCOUNT, "team": "legal", "max_concurrent_calls": 2}, format="json")
    assert (kept.status_code, kept.json()["max_concurrent_calls"]) == (200, 2)
    moved = client.patch(address, {"team": "sales"}, format="json")
    assert refusal(moved) == (422, "/team", "stays_in_team")
    assert ProviderAccount.objects.get().team.name == "legal"


@pytest.mark.parametrize("path", ["/api/designs", "/api/providers"])
def test_where_several_teams_are_possible_none_is_guessed(client: APIClient, path: str) -> None:
    body = document() if path == "/api/designs" else ACCOUNT
    answer = client.post(path, body, format="json")
    assert refusal(answer) == (422, "/team", "team_needed")
    assert "legal, sales" in answer.json()["errors"][0]["message"]
    assert not OrchestrationDesign.objects.exists()
    assert not ProviderAccount.objects.exists()


@pytest.mark.parametrize("path", ["/api/designs", "/api/providers"])
def test_another_team_is_as_unknown_as_none_and_ones_own_needs_the_right(client: APIClient, path: str) -> None:
    def post(team: str) -> Any:
        if path == "/api/designs":
            return client.post(f"{path}?team={team}", document(), format="json")
        return client.post(path, {**ACCOUNT, "team": team}, format="json")

    other, missing = post("secret"), post("nowhere")
    assert refusal(other) == refusal(missing) == (422, "/team", "unknown_team")
    assert other.json() | {"request_id": ""} == missing.json() | {"request_id": ""}
    assert post("support").status_code == 403
    assert not OrchestrationDesign.objects.exists()
    assert not ProviderAccount.objects.exists()


def test_a_misspelt_parameter_makes_nothing(client: APIClient) -> None:
    answer = client.post("/api/designs?taem=legal", document(), format="json")
    assert (answer.status_code, answer.json()["parameter"]) == (422, "taem")
    assert not OrchestrationDesign.objects.exists()
