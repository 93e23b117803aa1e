"""Designs and versions in the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import Team
from designs.drafts import create_design
from designs.models import DesignVersion, OrchestrationDesign, ProviderAccount
from designs.tests.builders import document
from designs.versions import freeze_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    return browser


def make_rows(count: int) -> None:
    for number in range(count):
        team = Team.objects.create(name=f"team {number}")
        design = create_design(document=document(f"Design {number}"), team_id=team.pk, by="user:root")
        freeze_version(design=design, created_by="user:root")
        ProviderAccount.objects.create(team=team, name=f"account-{number}", kind="openai")


@pytest.mark.parametrize("model", ["orchestrationdesign", "designversion", "provideraccount"])
def test_a_list_takes_as_many_queries_for_twenty_rows_as_for_one(
    browser: Client, model: str, django_assert_max_num_queries: Any
) -> None:
    make_rows(20)
    with django_assert_max_num_queries(11):
        page = browser.get(f"/admin/designs/{model}/")
    assert page.status_code == 200
    assert page.content.count(b"field-") >= 20
    assert browser.get(f"/admin/designs/{model}/?q=1").status_code == 200


def test_versions_and_designs_are_read_only(browser: Client) -> None:
    make_rows(1)
    design, version = OrchestrationDesign.objects.get(), DesignVersion.objects.get()
    for path in (f"orchestrationdesign/{design.pk}", f"designversion/{version.pk}"):
        assert browser.get(f"/admin/designs/{path}/change/").status_code == 200
        assert browser.post(f"/admin/designs/{path}/change/", {"name": "x"}).status_code == 403
        assert browser.post(f"/admin/designs/{path}/delete/", {"post": "yes"}).status_code == 403
    assert browser.get("/admin/designs/designversion/add/").status_code == 403
