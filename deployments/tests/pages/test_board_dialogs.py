"""The dialogs of the deployments page: who may open them, on whose deployments, and what they begin with."""

import html
import json
import re

import pytest
from django.test import Client

from access.models import Team
from access.principal import ALL_VERBS, Verb
from deployments.keys import make_key, revoke_key
from deployments.models import Deployment
from deployments.tests.builders import make_deployment, make_queued, make_schedule, make_version, one_agent_document
from deployments.tests.pages.test_board import client_with, make_team, text_of
from designs.drafts import create_design
from designs.versions import freeze_version

pytestmark = pytest.mark.django_db
ALL_BUT_KEYS: tuple[Verb, ...] = ("view", "execute", "change", "deploy")
#: Each with the rights of which one is needed.
DIALOGS: list[tuple[str, tuple[Verb, ...]]] = [
    ("configure", ("change",)),
    ("call", ("view", "execute")),
    ("delete", ("deploy",)),
    ("differences", ("change", "view")),
]


def open_dialog(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, response.content
    return response.content.decode()


@pytest.mark.parametrize(("dialog", "verbs"), DIALOGS)
def test_a_dialog_needs_its_right_and_one_of_the_own_teams_deployments(dialog: str, verbs: tuple[Verb, ...]) -> None:
    ours = make_deployment()
    theirs = make_deployment("theirs", version=make_version(team=make_team("other")))
    for verb in verbs:
        client = client_with(verb, team=f"team-{verb}")
        Deployment.objects.filter(id=ours.id).update(team=Team.objects.get(name=f"team-{verb}"))
        assert client.get(f"/deployments/{ours.id}/{dialog}").status_code == 200
        assert client.get(f"/deployments/{theirs.id}/{dialog}").status_code == 404
    others = ALL_VERBS - set(verbs)
    Deployment.objects.filter(id=ours.id).update(team=Team.default())
    assert client_with(*others).get(f"/deployments/{ours.id}/{dialog}").status_code == 403


def test_a_part_that_is_asked_for_after_the_session_ended_says_so() -> None:
    response = Client().get(f"/deployments/{make_deployment().id}/configure", headers={"HX-Request": "true"})
    assert response.status_code == 401
    assert b"no longer signed in" in response.content


def test_keys_are_shown_to_those_who_manage_them_and_only_those_that_open_this_endpoint() -> None:
    deployment, other = make_deployment(), make_deployment("other")
    team = deployment.team_id
    make_key(name="For all", team_id=team, scopes=["read"])
    make_key(name="For this", team_id=team, scopes=["read"], deployments=[deployment])
    make_key(name="For another", team_id=team, scopes=["read"], deployments=[other])
    revoked, _ = make_key(name="Taken back", team_id=team, scopes=["read"])
    revoke_key(key=revoked, by="user:root")
    address = f"/deployments/{deployment.id}/configure"
    assert "panel-keys" not in open_dialog(client_with(*ALL_BUT_KEYS), address)
    page = open_dialog(client_with(*ALL_BUT_KEYS, "manage_keys"), address)
    assert re.findall(r'aria-label="Revoke ([^"]+)"', page) == ["For this", "For all"]


def test_the_form_begins_with_what_is_stored_and_its_revision() -> None:
    deployment = make_deployment(max_calls=7)
    make_schedule(deployment, cron_expression="0 9 * * *", input_data={"text": '<"&'})
    page = open_dialog(client_with("change"), f"/deployments/{deployment.id}/configure")
    given = re.search(r'etag="([^"]+)" base="([^"]+)"', page)
    assert given is not None
    base = json.loads(html.unescape(given[2]))
    assert html.unescape(given[1]) == f'"{deployment.revision}"'
    assert (base["limits"]["max_calls"], base["schedule"]["input_data"]) == (7, {"text": '<"&'})


def test_the_version_tab_tells_what_differs_and_offers_it_to_those_who_deploy() -> None:
    document = one_agent_document()
    design = create_design(document=document, team_id=Team.default().pk, by="user:test")
    deployment = make_deployment(version=freeze_version(design=design, created_by="user:test"))
    document["blocks"][0]["data"]["task"] = "Greet nobody."  # type: ignore[index,call-overload] # a document
    design.draft = document
    design.save()
    freeze_version(design=design, created_by="user:test")
    address = f"/deployments/{deployment.id}/differences"
    for wanted in ("latest", "2"):
        text = text_of(open_dialog(client_with("change"), f"{address}?with={wanted}"))
        assert "Block Greet: task changed Greet the person. Greet nobody." in text
        assert "ask an administrator" in text
    client = client_with("change", "deploy")
    assert "Make version 2 live" in open_dialog(client, f"{address}?with=2")
    assert "data-deploy-version" not in open_dialog(client, f"{address}?with=1")
    assert client.get(f"{address}?with=3").status_code == 404
    assert client.get(f"{address}?with=x").status_code == 404


def test_deleting_says_what_stays_and_what_is_cancelled() -> None:
    deployment = make_deployment(execution_count=3)
    make_queued(deployment)
    text = text_of(open_dialog(client_with("deploy"), f"/deployments/{deployment.id}/delete"))
    assert "What stays: the history of 3 executions" in text
    assert "1 queued is cancelled" in text


def test_a_design_that_cannot_run_links_each_problem_to_its_block() -> None:
    document = one_agent_document()
    document["blocks"][0]["data"]["task"] = "{{input.nothing"  # type: ignore[index,call-overload] # a document
    document["blocks"][0]["data"]["agents"] = []  # type: ignore[index,call-overload] # a document
    design = create_design(document=document, team_id=Team.default().pk, by="user:test")
    page = open_dialog(client_with("deploy"), f"/deployments/new?design={design.id}")
    assert f'<a href="/designs/{design.id}#block=greet">' in page


def test_the_deploy_dialog_proposes_a_path_that_is_free_and_offers_no_other_teams_designs() -> None:
    design = make_version(one_agent_document(name="Käse & Brot")).design
    secret = make_version(one_agent_document(name="Secret"), team=make_team("other")).design
    make_deployment("kase-brot")
    client = client_with("deploy")
    page = open_dialog(client, f"/deployments/new?design={design.id}")
    assert 'value="kase-brot-2"' in page
    assert "Secret" not in page
    assert client.get(f"/deployments/new?design={secret.id}").status_code == 404
    assert client_with("change", team="third").get("/deployments/new").status_code == 403


@pytest.mark.django_db(transaction=True)  # the API answers in a thread with a connection of its own
@pytest.mark.parametrize(
    ("path", "state", "canonical"),
    [
        ("greet", "taken", "/api/deployed/greet"),
        ("/greet-2/", "free", "/api/deployed/greet-2"),
        ("Greet 3", "invalid", "/api/deployed/greet-3"),
        ("", "invalid", "/api/deployed/my-endpoint"),
    ],
)
def test_a_path_is_checked_while_it_is_typed(path: str, state: str, canonical: str) -> None:
    make_deployment(version=make_version(team=make_team("other")))
    response = client_with("deploy").get("/api/endpoint-paths", {"path": path})
    answer = response.json()
    assert (answer["state"], answer["endpoint_path"]) == (state, canonical)
    assert answer["url"] == f"http://testserver{canonical}"
    assert (answer["message"] is None) == (state == "free")


@pytest.mark.django_db(transaction=True)
def test_only_who_may_deploy_learns_which_paths_are_taken() -> None:
    assert client_with("view", "change").get("/api/endpoint-paths", {"path": "x"}).status_code == 403
