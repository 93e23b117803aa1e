"""What a key makes is no more than it is: nothing of the whole team's, and no key that outlives it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from access.models import Team
from deployments.keys import Scope, make_key
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


@pytest.mark.django_db(transaction=True)
def test_a_key_makes_none_that_outlives_it() -> None:
    end = timezone.now() + timedelta(hours=1)
    _, plaintext = make_key(name="brief", team_id=Team.default().pk, scopes=MANAGE, expires_at=end)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plaintext}")
    for expires_at in (None, end + timedelta(seconds=1)):
        body = {"name": "longer", "scopes": ["manage"], "expires_at": expires_at}
        answer = client.post("/api/keys", body, format="json")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/expires_at"]
        assert f"{end:%Y-%m-%dT%H:%M}" in answer.json()["detail"]
    assert ApiKey.objects.count() == 1
    body = {"name": "as long", "scopes": ["manage"], "expires_at": end}
    assert client.post("/api/keys", body, format="json").status_code == 201
