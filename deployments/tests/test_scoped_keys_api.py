"""A key for some deployments makes nothing that belongs to the whole team."""

import pytest
from rest_framework.test import APIClient

from access.models import Team
from deployments.keys import make_key
from deployments.models import Deployment
from deployments.tests.builders import make_deployment
from designs.models import OrchestrationDesign, ProviderAccount
from designs.tests.builders import document
from executor.json_types import JsonObject

pytestmark = pytest.mark.django_db

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
