"""What a key makes is no more than it is: nothing of the whole team's, and no key that outlives it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from access.models import Team
from deployments.keys import Scope, make_key, rotate_key
from deployments.models import ApiKey, Deployment
from deployments.tests.builders import make_deployment
from designs.models import OrchestrationDesign, ProviderAccount
from designs.tests.builders import document
from executor.json_types import JsonObject

pytestmark = pytest.mark.django_db

MANAGE: tuple[Scope, ...] = ("manage",)
ACCOUNT: JsonObject = {"name": "acme", "kind": "openai", "api_key": "sk-of-a-stranger"}


def client_with_key(deployments: list[Deployment] | None) -> APIClient:
    _, plaintext = make_key(
        name="crm", team_id=Team.default().pk, scopes=("read", "execute", "manage"), deployments=deployments
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plaintext}")
    return client


POSTS = [
    ("/api/designs", document("Made by a key"), 201),
    ("/api/designs/validate", document(), 200),
    ("/api/providers", ACCOUNT, 201),
]


@pytest.mark.parametrize(("path", "body", "status"), POSTS)
def test_a_key_for_some_deployments_is_refused_and_stores_nothing(path: str, body: JsonObject, status: int) -> None:
    client = client_with_key([make_deployment("one")])
    before = OrchestrationDesign.objects.count()
    answer = client.post(path, body, format="json")
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/forbidden"
    assert "deployments" in answer.json()["detail"]
    assert OrchestrationDesign.objects.count() == before
    assert not ProviderAccount.objects.exists()


@pytest.mark.parametrize(("path", "body", "status"), POSTS)
def test_a_key_for_the_whole_team_may(path: str, body: JsonObject, status: int) -> None:
    assert client_with_key(None).post(path, body, format="json").status_code == status


def asking_with(plaintext: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plaintext}")
    return client


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_rotated", [False, True], ids=["a key that ends", "the secret before a rotation"])
def test_a_key_makes_none_that_outlives_it(*, is_rotated: bool) -> None:
    end = timezone.now() + timedelta(hours=1)
    key, plaintext = make_key(
        name="brief", team_id=Team.default().pk, scopes=MANAGE, expires_at=None if is_rotated else end
    )
    if is_rotated:
        rotate_key(key=key, by="test", grace=timedelta(hours=1))
        end = key.previous_until or end
    client = asking_with(plaintext)
    for expires_at in (None, end + timedelta(seconds=1)):
        body = {"name": "longer", "scopes": ["manage"], "expires_at": expires_at}
        answer = client.post("/api/keys", body, format="json")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/expires_at"]
        assert f"{end:%Y-%m-%dT%H:%M}" in answer.json()["detail"]
    assert ApiKey.objects.count() == 1
    body = {"name": "as long", "scopes": ["manage"], "expires_at": end}
    assert client.post("/api/keys", body, format="json").status_code == 201


@pytest.mark.django_db(transaction=True)
def test_a_key_that_has_ended_already_is_not_made() -> None:
    _, plaintext = make_key(name="manager", team_id=Team.default().pk, scopes=MANAGE)
    body = {"name": "late", "scopes": ["manage"], "expires_at": timezone.now() - timedelta(seconds=1)}
    answer = asking_with(plaintext).post("/api/keys", body, format="json")
    assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (422, ["/expires_at"])


@pytest.mark.django_db(transaction=True)
def test_a_key_rotates_none_that_outlives_it() -> None:
    """Whoever rotates a key holds it from then on: the secret before could have the key for ever."""
    team_id, end = Team.default().pk, timezone.now() + timedelta(hours=1)
    lasting, before = make_key(name="lasting", team_id=team_id, scopes=MANAGE)
    now = rotate_key(key=lasting, by="test", grace=timedelta(hours=1))
    brief, ending = make_key(name="brief", team_id=team_id, scopes=MANAGE, expires_at=end)
    path, at_once = f"/api/keys/{lasting.id}/rotate", {"grace_seconds": 0}
    for plaintext in (before, ending):
        answer = asking_with(plaintext).post(path, at_once, format="json")
        assert (answer.status_code, "for longer" in answer.json()["detail"]) == (403, True)
    assert asking_with(ending).post(f"/api/keys/{brief.id}/rotate", {}, format="json").status_code == 200
    assert asking_with(now).post(path, at_once, format="json").status_code == 200
