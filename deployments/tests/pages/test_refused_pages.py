"""What a page that cannot be shown says instead."""

import pytest
from django.test import Client

from deployments.tests.pages.conftest import SignIn
from deployments.tests.pages.test_board import text_of

pytestmark = [pytest.mark.django_db, pytest.mark.either_database]


def test_a_page_that_is_not_there_leads_on(reader: Client) -> None:
    answer = reader.get("/nowhere")
    assert answer.status_code == 404
    page = answer.content.decode()
    assert "There is nothing here" in page
    assert 'href="/executions"' in page
    assert "Sign out" in page
    assert Client().get("/nowhere").status_code == 404  # nobody is signed in


def test_who_may_not_is_told_which_right_it_needs(sign_in: SignIn) -> None:
    answer = sign_in(rights=("execute_deployments",)).get("/")
    assert answer.status_code == 403
    assert "This page needs the right to view." in text_of(answer.content.decode())
