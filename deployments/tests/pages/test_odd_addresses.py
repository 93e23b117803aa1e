"""Addresses that no page of ours leads to, and that somebody may write: an answer, and never a mistake of ours."""

import pytest
from django.test import Client

from deployments.models import Deployment
from deployments.tests.builders import make_deployment

pytestmark = pytest.mark.django_db


@pytest.fixture
def deployment(db: None) -> Deployment:
    return make_deployment("greet")


@pytest.mark.parametrize(
    "query",
    [
        "from=0001-01-01T00:00:00Z",
        "to=0001-01-01T00:00:00Z",
        "to=9999-12-31T23:59:59Z",
        "from=9999-12-31T23:59:59Z",
        "from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z",
        "from=9999-12-31T23:59:59Z&to=0001-01-01T00:00:00Z",
    ],
)
def test_counts_from_one_end_of_time_to_the_other(reader: Client, deployment: Deployment, query: str) -> None:
    for address in ("/executions", f"/deployments/{deployment.id}/history"):
        answer = reader.get(f"{address}?part=histogram&{query}", headers={"HX-Request": "true"})
        assert answer.status_code == 200


@pytest.mark.parametrize("address", ["/", "/designs", "/executions"])
def test_a_search_for_what_no_database_holds(reader: Client, address: str) -> None:
    assert reader.get(f"{address}?search=%00").status_code == 200


def test_a_page_that_is_no_address(reader: Client) -> None:
    answer = reader.get("/", headers={"HX-Request": "true", "HX-Current-URL": "http://["})
    assert answer.status_code == 200
    assert answer["HX-Push-Url"] == "/"
