"""Designs over REST."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from access.models import Team
from designs.api import designs as designs_api
from designs.drafts import parse_merged
from designs.models import OrchestrationDesign
from designs.tests.builders import client_of, document, make_person
from designs.versions import freeze_version

pytestmark = pytest.mark.django_db

UNSOUND = document(
    connections=[{"id": "c", "source": "greet", "target": "nowhere"}],
    blocks=[
        {"id": "greet", "type": "sequential", "data": {"label": "Greet", "agents": []}},
        {"id": "greet", "type": "debate", "data": {"label": "Greet", "agents": []}},
    ],
)


@pytest.fixture
def client() -> APIClient:
    return client_of(make_person("alice", "view", "change"))


def create(client: APIClient, **changes: Any) -> Any:
    answer = client.post("/api/designs", document(**changes), format="json")
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_a_design_is_stored_and_found_again(client: APIClient) -> None:
    answer = client.post("/api/designs", document(), format="json")
    assert answer.status_code == 201
    made = answer.json()
    assert answer["Location"] == f"/api/designs/{made['id']}"
    assert answer["ETag"] == '"1"'
    assert made["problems"] == []
    assert made["name"] == "Greeter"
    assert made["created_by"] == "user:alice"
    assert made["latest_version"] is None
    found = client.get(answer["Location"])
    assert found.json() == made
    assert found["ETag"] == '"1"'
    assert [row["id"] for row in client.get("/api/designs").json()["results"]] == [made["id"]]


def test_both_forms_of_an_address_answer(client: APIClient) -> None:
    made = create(client)
    for path in ("/api/designs", f"/api/designs/{made['id']}", f"/api/designs/{made['id']}/versions"):
        assert client.get(path).status_code == 200
        assert client.get(f"{path}/").status_code == 200


def test_an_unsound_draft_is_saved_with_all_its_problems(client: APIClient) -> None:
    answer = client.post("/api/designs", UNSOUND, format="json")
    assert answer.status_code == 201
    codes = {problem["code"] for problem in answer.json()["problems"]}
    assert {"dangling_connection", "duplicate_block_id", "duplicate_label"} <= codes
    assert all(problem["pointer"].startswith("/") for problem in answer.json()["problems"])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        (document(colour="red"), "/colour"),
        (document(id="x"), "/id"),
        (document(blocks=[{"id": "a", "type": "magic", "data": {"label": "A"}}]), "/blocks/0/type"),
        (document(format=2), "/format"),
        (document(name=7), "/name"),
        ([], ""),
        ("design", ""),
    ],
)
def test_a_malformed_document_is_a_422_that_says_where(client: APIClient, body: object, pointer: str) -> None:
    for method, path in ((client.post, "/api/designs"), (client.post, "/api/designs/validate")):
        answer = method(path, body, format="json")
        assert answer.status_code == 422, answer.content
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert not OrchestrationDesign.objects.exists()


def test_a_body_that_is_missing_is_a_400(client: APIClient) -> None:
    made = create(client)
    assert client.post("/api/designs", content_type="application/json").status_code == 400
    assert client.put(f"/api/designs/{made['id']}", content_type="application/json").status_code == 400
    assert client.patch(f"/api/designs/{made['id']}", content_type="application/json").status_code == 400


def test_validating_stores_and_versions_nothing(client: APIClient) -> None:
    sound = client.post("/api/designs/validate", document(), format="json")
    assert sound.status_code == 200
    assert sound.json() == {"problems": []}
    unsound = client.post("/api/designs/validate", UNSOUND, format="json")
    assert unsound.status_code == 200
    assert unsound.json()["problems"]
    assert not OrchestrationDesign.objects.exists()


def test_put_replaces_the_whole_draft(client: APIClient) -> None:
    made = create(client)
    answer = client.put(f"/api/designs/{made['id']}", document(name="Other", description=""), format="json")
    assert answer.status_code == 200
    assert answer["ETag"] == '"2"'
    assert answer.json()["name"] == "Other"
    assert answer.json()["description"] == ""
    assert answer.json()["revision"] == 2
    assert client.get(f"/api/designs/{made['id']}").json() == answer.json()


def test_patch_replaces_the_given_top_level_fields_only(client: APIClient) -> None:
    made = create(client)
    answer = client.patch(f"/api/designs/{made['id']}", {"name": "Renamed"}, format="json")
    assert answer.status_code == 200
    assert answer.json()["document"] == {**made["document"], "name": "Renamed"}
    refused = client.patch(f"/api/designs/{made['id']}", {"nmae": "x"}, format="json")
    assert refused.status_code == 422
    assert client.patch(f"/api/designs/{made['id']}", [1], format="json").status_code == 422
    assert client.get(f"/api/designs/{made['id']}").json()["revision"] == 2


def test_nobody_overwrites_what_they_have_not_seen(client: APIClient) -> None:
    made = create(client)
    path = f"/api/designs/{made['id']}"
    seen = {"If-Match": '"1"'}
    assert client.put(path, document(name="First"), format="json", headers=seen).status_code == 200
    for answer in (
        client.put(path, document(name="Second"), format="json", headers=seen),
        client.patch(path, {"name": "Second"}, format="json", headers=seen),
        client.delete(path, headers=seen),
    ):
        assert answer.status_code == 412
        assert answer["ETag"] == '"2"'
    assert client.get(path).json()["name"] == "First"
    assert client.delete(path, headers={"If-Match": '"2"'}).status_code == 204


def test_a_deleted_design_is_gone_and_its_history_keeps_its_name(client: APIClient) -> None:
    made = create(client)
    path = f"/api/designs/{made['id']}"
    version = freeze_version(design=OrchestrationDesign.objects.get(), created_by="user:alice")
    assert client.delete(path).status_code == 204
    for answer in (
        client.get(path),
        client.put(path, document(), format="json"),
        client.delete(path),
        client.get(f"{path}/versions"),
        client.get(f"{path}/versions/1"),
    ):
        assert answer.status_code == 404
    assert client.get("/api/designs").json()["results"] == []
    version.refresh_from_db()
    assert version.design.name == "Greeter"


def test_versions_are_listed_newest_first_and_read_whole(client: APIClient) -> None:
    made = create(client)
    path = f"/api/designs/{made['id']}"
    design = OrchestrationDesign.objects.get()
    freeze_version(design=design, created_by="user:alice")
    client.patch(path, {"name": "Second"}, format="json")
    design.refresh_from_db()
    freeze_version(design=design, created_by="user:bob")
    rows = client.get(f"{path}/versions").json()["results"]
    assert [(row["number"], row["created_by"]) for row in rows] == [(2, "user:bob"), (1, "user:alice")]
    assert "document" not in rows[0]
    assert client.get(f"{path}/versions/1").json()["document"]["name"] == "Greeter"
    assert client.get(f"{path}/versions/2").json()["document"]["name"] == "Second"
    assert client.get(f"{path}/versions/3").status_code == 404
    assert client.get(f"{path}/versions/x").status_code == 404
    assert client.get(path).json()["latest_version"] == 2


def test_another_teams_design_answers_as_one_that_does_not_exist(client: APIClient) -> None:
    made = create(client)
    design = OrchestrationDesign.objects.get()
    freeze_version(design=design, created_by="user:alice")
    stranger = client_of(make_person("mallory", "view", "change", team="other"))
    for there, nowhere in (
        (f"/api/designs/{made['id']}", f"/api/designs/{uuid4()}"),
        (f"/api/designs/{made['id']}/versions", f"/api/designs/{uuid4()}/versions"),
        (f"/api/designs/{made['id']}/versions/1", f"/api/designs/{uuid4()}/versions/1"),
    ):
        assert stranger.get(there).status_code == 404
        assert stranger.get(there).json() == stranger.get(nowhere).json()
    path = f"/api/designs/{made['id']}"
    assert stranger.put(path, document(), format="json").status_code == 404
    assert stranger.patch(path, {"name": "x"}, format="json").status_code == 404
    assert stranger.delete(path).status_code == 404
    assert stranger.get("/api/designs").json()["results"] == []


def test_rights_are_asked_for_after_existence(client: APIClient) -> None:
    made = create(client)
    reader = client_of(make_person("bob", "view"))
    assert reader.get(f"/api/designs/{made['id']}").status_code == 200
    assert reader.delete(f"/api/designs/{made['id']}").status_code == 403
    assert reader.delete(f"/api/designs/{uuid4()}").status_code == 404
    assert reader.post("/api/designs", document(), format="json").status_code == 403
    nobody = client_of(make_person("carol"))
    assert nobody.get("/api/designs").status_code == 403
    assert APIClient().get("/api/designs").status_code == 401


def test_who_is_in_no_team_sees_nothing() -> None:
    create(client_of(make_person("alice", "view", "change")))
    loner = make_person("loner", "view", "change")
    loner.groups.clear()
    assert client_of(loner).get("/api/designs").status_code == 403


def test_a_superuser_sees_all_and_works_for_the_default_team(client: APIClient) -> None:
    made = create(client_of(make_person("bob", "view", "change", team="other")))
    root = client_of(User.objects.create_superuser("root"))
    assert root.get(f"/api/designs/{made['id']}").status_code == 200
    mine = create(root, name="Mine")
    assert OrchestrationDesign.objects.get(id=mine["id"]).team_id == Team.default().pk


def test_the_list_leaves_documents_out_and_takes_a_constant_number_of_queries(
    client: APIClient, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        create(client, name=f"Design {number}")
    with django_assert_max_num_queries(7):
        rows = client.get("/api/designs").json()["results"]
    assert len(rows) == 20
    assert "document" not in rows[0]
    assert "problems" not in rows[0]


def test_the_list_is_searched_by_name_and_description(client: APIClient) -> None:
    create(client, name="Contract review")
    create(client, name="Support", description="Sorts contract questions.")
    create(client, name="Release notes")
    found = client.get("/api/designs?search=CONTRACT").json()["results"]
    assert {row["name"] for row in found} == {"Contract review", "Support"}
    assert client.get("/api/designs?search=%00").status_code == 422


def test_filters_narrow_lists_and_nothing_else(client: APIClient) -> None:
    made = create(client)
    assert client.get(f"/api/designs/{made['id']}?search=nothing").status_code == 200
    assert client.get("/api/designs?search=nothing").json()["results"] == []


def test_a_browser_is_shown_pages(client: APIClient) -> None:
    made = create(client)
    for path in ("/api/designs", f"/api/designs/{made['id']}", f"/api/designs/{made['id']}/versions", "/api/"):
        answer = client.get(path, headers={"accept": "text/html"})
        assert answer.status_code == 200, path
        assert answer["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_body_is_read_and_parsed_before_the_row_is_locked(client: APIClient, method: str) -> None:
    path = f"/api/designs/{create(client)['id']}"
    for body, status in (("{", 400), ("[]", 422), ('{"name": 7}', 422)):
        with CaptureQueriesContext(connection) as queries:
            answer = client.generic(method, path, body, content_type="application/json")
        assert answer.status_code == status
        assert not [query for query in queries if "SAVEPOINT" in query["sql"]]
    with CaptureQueriesContext(connection) as queries:
        assert getattr(client, method)(path, document("Sound"), format="json").status_code == 200
    assert [query for query in queries if "SAVEPOINT" in query["sql"]]


def test_a_change_is_merged_into_what_was_saved_while_it_was_parsed(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/designs/{create(client)['id']}"
    parses: list[int] = []

    def save_meanwhile(*, design: OrchestrationDesign, changes: Any) -> Any:
        parses.append(design.revision)
        parsed = parse_merged(design=design, changes=changes)
        if len(parses) == 1:
            answer = client_of(User.objects.get(username="alice")).put(path, document("Other"), format="json")
            assert answer.status_code == 200
        return parsed

    monkeypatch.setattr(designs_api, "parse_merged", save_meanwhile)
    answer = client.patch(path, {"description": "Changed."}, format="json")
    assert parses == [1, 2]
    assert (answer.json()["name"], answer.json()["description"], answer["ETag"]) == ("Other", "Changed.", '"3"')
