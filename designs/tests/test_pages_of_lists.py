"""Keyset pages: nothing is shown twice or left out, whatever is added meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from access.models import Team
from designs.models import OrchestrationDesign
from designs.tests.builders import client_of, make_person

pytestmark = pytest.mark.django_db

START = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def client() -> APIClient:
    alice = make_person("alice", "view")
    # Of two teams, so that no index happens to give the order of equal times.
    alice.groups.add(Team.objects.create(name="other"))
    return client_of(alice)


def add(count: int, *, at: datetime = START, step: timedelta = timedelta(0)) -> None:
    team = Team.default()
    for number in range(count):
        design = OrchestrationDesign.objects.create(team=team, name=f"Design {number}", draft={})
        OrchestrationDesign.objects.filter(pk=design.pk).update(created_at=at + number * step)


def read_all(client: APIClient, limit: int, *, between: Any = None) -> list[str]:
    address: str | None = f"/api/designs?limit={limit}"
    ids: list[str] = []
    while address:
        answer = client.get(address)
        assert answer.status_code == 200
        page = answer.json()
        assert len(page["results"]) <= limit
        assert answer.get("Link", "") == (f'<{page["next"]}>; rel="next"' if page["next"] else "")
        ids += [row["id"] for row in page["results"]]
        address = page["next"]
        if between:
            between()
    return ids


def in_order() -> list[str]:
    return [str(pk) for pk in OrchestrationDesign.objects.order_by("-created_at", "-pk").values_list("pk", flat=True)]


@pytest.mark.parametrize("limit", [1, 3, 10, 11, 12])
@pytest.mark.parametrize("step", [timedelta(0), timedelta(microseconds=1), timedelta(days=1)])
def test_all_rows_come_once_newest_first(client: APIClient, limit: int, step: timedelta) -> None:
    add(11, step=step)
    assert read_all(client, limit) == in_order()


def test_rows_that_are_added_meanwhile_move_nothing(client: APIClient) -> None:
    add(10)
    expected = in_order()
    assert read_all(client, 3, between=lambda: add(2, at=START + timedelta(days=1))) == expected


def test_a_page_has_a_hundred_rows_unless_it_is_told(client: APIClient) -> None:
    add(101)
    assert len(client.get("/api/designs").json()["results"]) == 100
    assert len(client.get("/api/designs?limit=500").json()["results"]) == 101


@pytest.mark.parametrize("limit", ["0", "-1", "501", "x", "1e2", "", "1.5", "\u0663", "99999999999999999999"])
def test_a_wrong_limit_is_a_problem(client: APIClient, limit: str) -> None:
    answer = client.get("/api/designs", {"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["parameter"] == "limit"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "AAAA",
        "MTIz",
        "MTIzLmFiYw",
        "%00",
        "\u00e9",
        "=",
        "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkueA",
        "A" * 5_000,
    ],
)
def test_a_cursor_that_is_none_of_ours_is_a_problem(client: APIClient, cursor: str) -> None:
    answer = client.get("/api/designs", {"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["parameter"] == "cursor"


def test_the_next_page_keeps_the_other_parameters(client: APIClient) -> None:
    add(3)
    OrchestrationDesign.objects.create(team=Team.default(), name="Other", draft={})
    address = client.get("/api/designs?search=design&limit=2").json()["next"]
    assert "search=design" in address
    assert len(client.get(address).json()["results"]) == 1
