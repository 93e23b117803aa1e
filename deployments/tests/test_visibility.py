"""What belongs to another team answers exactly as what does not exist, over every address that names a thing."""

import html
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from access.models import Team
from access.principal import ALL, Principal
from access.principal_of import PERMISSION_OF
from deployments.deploying import deploy_design
from deployments.executions.lifecycle import request_cancel
from deployments.keys import Scope, make_key
from deployments.models import ApiKey, Deployment, ExecutionLog
from deployments.scheduling.validation import ScheduleFields
from deployments.tests.builders import make_queued, one_agent_document
from designs.models import OrchestrationDesign

pytestmark = pytest.mark.django_db(transaction=True)

#: Method, address (with what stands for the thing's id or path), body.
ADDRESSES = [
    ("GET", "/api/deployments/{deployment}", None),
    ("PUT", "/api/deployments/{deployment}", {"status": "inactive"}),
    ("PATCH", "/api/deployments/{deployment}", {"status": "inactive"}),
    ("DELETE", "/api/deployments/{deployment}", None),
    ("POST", "/api/deployments/{deployment}/execute", {}),
    ("GET", "/api/deployments/{deployment}/logs", None),
    ("GET", "/api/deployments/{deployment}/logs/{execution}", None),
    ("GET", "/api/deployments/{deployment}/daily-use", None),
    ("GET", "/api/deployments/{deployment}/schedule/preview", None),
    ("POST", "/api/deployments/{deployment}/schedule/pause", {}),
    ("POST", "/api/deployments/{deployment}/schedule/resume", {}),
    ("POST", "/api/deployments/{deployment}/schedule/run", {}),
    ("GET", "/api/executions/{execution}", None),
    ("GET", "/api/executions/{execution}/events", None),
    ("POST", "/api/executions/{execution}/cancel", None),
    ("POST", "/api/executions/{execution}/rerun", {"from": "start"}),
    ("POST", "/api/designs/{design}/execute", {}),
    ("GET", "/api/deployed/{path}", None),
    ("POST", "/api/deployed/{path}", {}),
    ("GET", "/api/deployed/{path}/openapi.json", None),
    ("GET", "/api/keys/{key}", None),
    ("GET", "/api/keys/{key}/daily-use", None),
    ("DELETE", "/api/keys/{key}", None),
]


def make_things(team: Group, path: str) -> dict[str, str]:
    """A design, its deployment, an execution of it and a key, all of the team."""
    document = one_agent_document()
    design = OrchestrationDesign.objects.create(team=team, name="Secret", draft=document)
    schedule = ScheduleFields(cron_expression="@yearly")
    deployment = deploy_design(design=design, endpoint_path=path, by="user:test", schedule=schedule)
    execution = make_queued(deployment)
    key, _ = make_key(name="secret", team_id=team.pk, scopes=["read"])
    things = {"design": design, "deployment": deployment, "execution": execution, "key": key}
    return {name: str(thing.pk) for name, thing in things.items()} | {"path": path}


def headers_of(team: Group, *scopes: Scope, deployments: list[Deployment] | None = None) -> dict[str, str]:
    _, plaintext = make_key(name="asking", team_id=team.pk, scopes=scopes, deployments=deployments)
    return {"Authorization": f"Bearer {plaintext}"}


def ask(method: str, address: str, things: dict[str, str], headers: dict[str, str], body: Any) -> tuple[int, Any]:
    options = {} if body is None else {"data": body, "content_type": "application/json"}
    answer = getattr(Client(), method.lower())(address.format(**things), headers=headers, **options)
    return answer.status_code, {name: value for name, value in answer.json().items() if name != "request_id"}


@pytest.mark.parametrize(("method", "address", "body"), ADDRESSES, ids=lambda value: str(value)[:60])
# Of the scopes those that lack a right somewhere: with all of them the table of rights is gone through.
@pytest.mark.parametrize("scopes", [("read",), ("execute",)], ids=str)
def test_another_teams_thing_answers_as_a_missing_one(
    method: str, address: str, body: Any, scopes: tuple[Scope, ...]
) -> None:
    other = Team.objects.create(name="other")
    theirs = make_things(other, "secret/path")
    missing = dict.fromkeys(("design", "deployment", "execution", "key"), str(uuid4())) | {"path": "missing/path"}
    headers = headers_of(Team.default(), *scopes)
    answer = ask(method, address, theirs, headers, body)
    assert answer == ask(method, address, missing, headers, body)
    assert answer[0] == 404
    assert (ExecutionLog.objects.count(), Deployment.objects.live().count()) == (1, 1)


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [row for row in ADDRESSES if "{key}" not in row[1]],
    ids=lambda value: str(value)[:60],
)
def test_a_deployment_that_a_key_is_not_for_answers_as_a_missing_one(method: str, address: str, body: Any) -> None:
    team = Team.default()
    theirs = make_things(team, "theirs")
    mine = make_things(team, "mine")
    headers = headers_of(team, "execute", "read", "manage", deployments=[Deployment.objects.get(id=mine["deployment"])])
    assert ask(method, address, theirs, headers, body)[0] == 404


def test_lists_show_what_is_the_teams_own() -> None:
    theirs = make_things(Team.objects.create(name="other"), "theirs")
    mine = make_things(Team.default(), "mine")
    headers = headers_of(Team.default(), "read", "execute", "manage")
    for address, name in (("/api/deployments", "deployment"), ("/api/executions", "execution"), ("/api/keys", "key")):
        shown = [row["id"] for row in Client().get(address, headers=headers).json()["results"]]
        assert mine[name] in shown
        assert theirs[name] not in shown
    filtered = Client().get(f"/api/executions?deployment_id={theirs['deployment']}", headers=headers).json()
    assert filtered["results"] == []


def test_another_teams_design_is_an_unknown_one_to_deploy() -> None:
    theirs = make_things(Team.objects.create(name="other"), "theirs")
    headers = headers_of(Team.default(), "manage")
    body = {"design_id": theirs["design"], "endpoint_path": "mine"}
    status, problem = ask("POST", "/api/deployments", {}, headers, body)
    assert (status, problem["errors"][0]["code"]) == (422, "unknown_design")


def test_a_single_row_is_known_to_whom_the_queryset_shows_it() -> None:
    mine = Deployment.objects.get(id=make_things(Team.default(), "mine")["deployment"])
    theirs = Deployment.objects.get(id=make_things(Team.objects.create(name="other"), "theirs")["deployment"])
    for teams in ([], [mine.team_id], [mine.team_id, theirs.team_id], None):
        rights: Any = ALL if teams is None else dict.fromkeys(teams, frozenset({"execute"}))
        for deployments in (ALL, frozenset[UUID](), frozenset({mine.id}), frozenset({theirs.id})):
            principal = Principal(rights, deployments, "user:x")
            shown = set(Deployment.objects.known_to(principal))
            assert {row for row in (mine, theirs) if row.is_known_to(principal)} == shown


def test_someone_in_no_team_sees_nothing() -> None:
    things = make_things(Team.default(), "feed")
    User.objects.create_user("nobody").user_permissions.set(Permission.objects.all())
    client = Client()
    client.force_login(User.objects.get(username="nobody"))
    assert client.get("/api/deployments").status_code in (200, 403)
    assert things["deployment"] not in client.get("/api/deployments").content.decode()
    assert client.get(f"/api/deployments/{things['deployment']}").status_code == 404


class TestKeysOverRest:
    def test_nobody_gives_a_key_rights_that_they_do_not_have(self) -> None:
        headers = headers_of(Team.default(), "manage")
        assert ask("POST", "/api/keys", {}, headers, {"name": "x", "scopes": ["read"]})[0] == 201
        assert ask("POST", "/api/keys", {}, headers, {"name": "x", "scopes": ["execute"]})[0] == 403
        assert ask("POST", "/api/keys", {}, headers, {"name": "x"})[0] == 403

    def test_a_key_gets_rights_of_its_own_team_alone(self) -> None:
        """Of somebody who may manage keys in two teams and execute in one of them."""
        user, things = User.objects.create_user("alice"), {}
        for name, verbs in (("sales", ("view", "manage_keys", "execute")), ("legal", ("view", "manage_keys"))):
            team = Team.objects.create(name=name)
            codenames = [PERMISSION_OF[verb].removeprefix("access.") for verb in verbs]  # type: ignore[index] # verbs
            team.permissions.set(Permission.objects.filter(codename__in=codenames))
            user.groups.add(team)
            things[name] = make_things(team, name)["deployment"]
        browser = Client()
        browser.force_login(user)

        def make(**body: Any) -> tuple[int, Any]:
            body = {"name": "new", "scopes": ["execute"]} | body
            answer = browser.post("/api/keys", body, content_type="application/json")
            return answer.status_code, answer.json()

        assert make(deployments=[things["sales"]])[1]["team"] == "sales"
        assert make(team="sales")[1]["team"] == "sales"
        assert make(deployments=[things["legal"]])[0] == 403
        assert make(team="legal")[0] == 403
        assert make(team="legal", scopes=["read"])[1]["team"] == "legal"
        for body, pointer, code in (
            ({}, "/team", "team_needed"),
            ({"team": "nowhere"}, "/team", "unknown_team"),
            ({"team": "legal", "deployments": [things["sales"]]}, "/team", "other_team"),
            ({"deployments": list(things.values())}, "/deployments", "several_teams"),
        ):
            status, problem = make(**body)
            assert (status, [(error["pointer"], error["code"]) for error in problem["errors"]]) == (
                422,
                [(pointer, code)],
            )

    def test_a_key_for_some_deployments_makes_keys_for_these_alone(self) -> None:
        mine, other = make_things(Team.default(), "mine"), make_things(Team.default(), "other")
        deployment = Deployment.objects.get(id=mine["deployment"])
        headers = headers_of(Team.default(), "manage", "read", deployments=[deployment])

        def make(deployments: list[str] | None) -> int:
            body = {"name": "x", "scopes": ["read"], "deployments": deployments}
            return ask("POST", "/api/keys", {}, headers, body)[0]

        assert make([mine["deployment"]]) == 201
        assert make(None) == 403
        assert make([other["deployment"]]) == 422
        listed = Client().get("/api/keys", headers=headers).json()["results"]
        assert {row["name"] for row in listed} == {"x", "asking"}
        assert ask("DELETE", "/api/keys/{key}", other, headers, None)[0] == 404
        body = {"design_id": mine["design"], "endpoint_path": "new"}
        assert ask("POST", "/api/deployments", {}, headers, body)[0] == 403

    def test_a_key_is_shown_when_it_is_made_and_never_again(self) -> None:
        headers = headers_of(Team.default(), "manage", "execute", "read")
        status, made = ask("POST", "/api/keys", {}, headers, {"name": "crm"})
        assert (status, made["scopes"]) == (201, ["execute", "read"])
        secret = made["key"].split("_", 2)[2]
        assert secret not in Client().get("/api/keys", headers=headers).content.decode()
        assert secret not in Client().get(f"/api/keys/{made['id']}", headers=headers).content.decode()

    def test_a_revoked_key_stops_with_the_next_request(self) -> None:
        headers = headers_of(Team.default(), "manage", "execute", "read")
        _, made = ask("POST", "/api/keys", {}, headers, {"name": "crm"})
        used = {"Authorization": f"Bearer {made['key']}"}
        assert Client().get("/api/deployments", headers=used).status_code == 200
        assert Client().delete(f"/api/keys/{made['id']}", headers=headers).status_code == 204
        assert Client().get("/api/deployments", headers=used).status_code == 401
        assert ApiKey.objects.get(id=made["id"]).revoked_at is not None

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"scopes": []}, "/scopes"),
            ({"scopes": ["root"]}, "/scopes/0"),
            ({"deployments": []}, "/deployments"),
            ({"deployments": [str(uuid4())]}, "/deployments/0"),
            ({"expires_at": "2001-01-01T00:00:00Z"}, "/expires_at"),
            ({"key": "ok_mine"}, "/key"),
            ({"name": ""}, "/name"),
        ],
    )
    def test_a_key_that_cannot_be_is_a_422(self, changes: dict[str, Any], pointer: str) -> None:
        headers = headers_of(Team.default(), "manage", "execute", "read")
        status, problem = ask("POST", "/api/keys", {}, headers, {"name": "crm"} | changes)
        assert (status, [error["pointer"] for error in problem["errors"]]) == (422, [pointer])


class TestSessions:
    @pytest.fixture
    def browser(self) -> Client:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(User.objects.create_superuser("root"))
        return browser

    def test_a_session_and_a_key_in_one_request_are_a_400(self, browser: Client) -> None:
        answer = browser.get("/api/deployments", headers=headers_of(Team.default(), "read"))
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/two-credentials")

    def test_a_session_needs_its_csrf_token_to_write(self, browser: Client) -> None:
        things = make_things(Team.default(), "feed")
        answer = browser.put(
            f"/api/deployments/{things['deployment']}", {"status": "inactive"}, content_type="application/json"
        )
        assert answer.status_code == 403
        assert Deployment.objects.get().status == "active"

    def test_a_session_reads_and_its_label_is_the_users(self, browser: Client) -> None:
        make_things(Team.default(), "feed")
        assert len(browser.get("/api/deployments").json()["results"]) == 1

    def test_the_browsable_api_is_on(self, browser: Client) -> None:
        things = make_things(Team.default(), "feed")
        for address in (
            "/api/",
            "/api/deployments",
            f"/api/deployments/{things['deployment']}",
            f"/api/deployments/{things['deployment']}/execute",
            f"/api/deployments/{things['deployment']}/logs",
            f"/api/deployments/{things['deployment']}/schedule/preview",
            f"/api/deployments/{things['deployment']}/schedule/pause",
            "/api/schedules/preview",
            "/api/executions",
            f"/api/executions/{things['execution']}",
            f"/api/executions/{things['execution']}/rerun",
            "/api/keys",
            "/api/deployed/feed",
            "/api/designs",
        ):
            answer = browser.get(address, headers={"Accept": "text/html"})
            assert answer["Content-Type"].startswith("text/html"), address
            assert answer.status_code in (200, 405), (address, answer.status_code)

    def test_the_page_of_a_rerun_has_a_form_that_works(self, browser: Client) -> None:
        execution = ExecutionLog.objects.get(id=make_things(Team.default(), "feed")["execution"])
        request_cancel(execution_id=execution.id, by="user:root")
        address = f"/api/executions/{execution.id}/rerun"
        page = browser.get(address, headers={"Accept": "text/html"})
        form = page.content.decode().partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]
        body = json.loads(html.unescape(form))
        assert body == {"from": "failed", "input_data": None}
        headers = {"Accept": "text/html", "X-CSRFToken": page.cookies["csrftoken"].value}
        answer = browser.post(address, body, content_type="application/json", headers=headers)
        assert answer.status_code == 201
        assert ExecutionLog.objects.filter(parent=execution).count() == 1
