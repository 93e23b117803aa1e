"""Addresses of the admin that somebody has typed by hand: what no row can have is a 400 and no error of ours."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from deployments.models import Deployment

pytestmark = pytest.mark.django_db

EXECUTIONS = "/admin/deployments/executionlog/"
TERM = "/admin/autocomplete/?app_label=deployments&model_name=deployment&field_name=team&term="


@pytest.mark.parametrize(
    "address",
    [
        f"{EXECUTIONS}?status__exact=%00",
        f"{EXECUTIONS}?created_at__year=99999999999",
        "/admin/deployments/scheduleconfig/?timezone=%00",
        f"{TERM}%00",
    ],
)
def test_a_filter_that_nothing_can_pass_is_no_error_of_ours(admin_client: Client, address: str) -> None:
    assert admin_client.get(address).status_code in (200, 400)  # SQLite knows texts with NUL


def test_a_year_of_eleven_digits_and_an_id_that_is_none_are_refused(admin_client: Client) -> None:
    assert admin_client.get(f"{EXECUTIONS}?created_at__year=99999999999").status_code == 400
    assert admin_client.head(f"{EXECUTIONS}?created_at__year=99999999999").status_code == 400
    kind = ContentType.objects.get_for_model(Deployment)
    assert admin_client.get(f"/admin/r/{kind.pk}/notauuid/").status_code == 400


def test_what_is_posted_is_not_hidden_so(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr("deployments.admin.ExecutionAdmin.get_changelist_instance", fail)
    with pytest.raises(ValueError, match="a fault of ours"):
        admin_client.post(EXECUTIONS)
