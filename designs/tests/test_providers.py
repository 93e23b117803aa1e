"""Provider accounts: keys go in and never come out, and lead nowhere but where they were given for."""

import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client, override_settings
from pydantic import SecretStr
from rest_framework.test import APIClient

from access.models import Team
from designs.base_urls import problem_with_base_url
from designs.models import ProviderAccount
from designs.providers import models_for
from designs.tests.builders import client_of, document, make_person

pytestmark = pytest.mark.django_db

SECRET = "sk-very-secret-0123456789"
ACCOUNT: dict[str, Any] = {"name": "acme", "kind": "openai", "api_key": SECRET}


@pytest.fixture
def client() -> APIClient:
    return client_of(make_person("alice", "view", "change"))


def add(client: APIClient, **changes: Any) -> Any:
    answer = client.post("/api/providers", {**ACCOUNT, **changes}, format="json")
    assert answer.status_code == 201, answer.content
    return answer


def test_a_key_is_written_and_never_read_back(client: APIClient) -> None:
    answer = add(client)
    assert answer.json()["has_key"] is True
    path = answer["Location"]
    assert path == f"/api/providers/{answer.json()['id']}"
    shown = [
        answer,
        client.get(path),
        client.get("/api/providers"),
        client.patch(path, {"kind": "openai"}, format="json"),
    ]
    shown.append(client.get(path, headers={"accept": "text/html"}))
    for page in shown:
        assert page.status_code in (200, 201)
        assert SECRET not in page.content.decode()
        assert "api_key" not in page.json() if page["Content-Type"] == "application/json" else True
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM designs_provideraccount")
        assert SECRET not in cursor.fetchone()[0]
    assert ProviderAccount.objects.get().api_key == SECRET


def test_without_a_key_in_the_request_the_stored_one_stays(client: APIClient) -> None:
    path = add(client)["Location"]
    answer = client.put(path, {"name": "acme2", "kind": "openai", "max_concurrent_calls": 3}, format="json")
    assert answer.status_code == 200
    assert answer.json()["has_key"] is True
    assert ProviderAccount.objects.get().api_key == SECRET
    emptied = client.patch(path, {"api_key": ""}, format="json")
    assert emptied.json()["has_key"] is False


@pytest.mark.parametrize("change", [{"base_url": "https://evil.example/v1"}, {"kind": "anthropic"}])
def test_a_stored_key_is_not_sent_to_another_host(client: APIClient, change: dict[str, str]) -> None:
    path = add(client)["Location"]
    refused = client.patch(path, change, format="json")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/api_key"
    assert client.patch(path, {**change, "api_key": "another"}, format="json").status_code == 200
    assert ProviderAccount.objects.get().api_key == "another"


def test_an_account_without_a_key_may_move(client: APIClient) -> None:
    path = add(client, api_key="")["Location"]
    assert client.patch(path, {"base_url": "https://other.example/v1"}, format="json").status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "offline"}, "/name"),
        ({"name": "a b"}, "/name"),
        ({"name": ""}, "/name"),
        ({"kind": "magic"}, "/kind"),
        ({"team": 1}, "/team"),
        ({"id": "x"}, "/id"),
        ({"base_url": "http://plain.example"}, "/base_url"),
        ({"max_concurrent_calls": 0}, "/max_concurrent_calls"),
        ({"prices": []}, "/prices"),
        ({"prices": {"m": {"input": "1"}}}, "/prices/m"),
        ({"prices": {"m": {"input": "-1", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "NaN", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "1e-5000000", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "0e-5000000", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "0e5000000", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "1e-999999999999999", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "0e999999999999999", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "1e-13", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "1000000.1", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "Infinity", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "sNaN", "output": "1"}}}, "/prices/m/input"),
        ({"prices": {"m": {"input": "1", "output": True}}}, "/prices/m/output"),
        ({"prices": {"m": {"input": "1", "output": None}}}, "/prices/m/output"),
        ({"prices": {"m": {"input": {}, "output": "1"}}}, "/prices/m/input"),
    ],
)
def test_a_wrong_account_is_a_422_that_says_where(client: APIClient, change: Any, pointer: str) -> None:
    answer = client.post("/api/providers", {**ACCOUNT, **change}, format="json")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("given", "kept"), [("1e-12", "0.000000000001"), (1e6, "1000000.0"), ("1E+2", "100"), (0, "0")]
)
def test_a_price_is_kept_as_a_plain_decimal(client: APIClient, given: Any, kept: str) -> None:
    answer = add(client, prices={"m": {"input": given, "output": "1"}})
    assert answer.json()["prices"]["m"]["input"] == kept


def test_a_name_is_a_teams_own(client: APIClient) -> None:
    path = add(client)["Location"]
    taken = client.post("/api/providers", ACCOUNT, format="json")
    assert taken.status_code == 409
    assert taken.json()["type"] == "/problems/provider-name-taken"
    other = client_of(make_person("bob", "view", "change", team="other"))
    add(other)
    assert other.get(path).status_code == 404
    assert other.patch(path, {"name": "x"}, format="json").status_code == 404
    assert other.delete(path).status_code == 404
    assert len(other.get("/api/providers").json()["results"]) == 1


def test_rights_are_needed(client: APIClient) -> None:
    path = add(client)["Location"]
    reader = client_of(make_person("bob", "view"))
    assert reader.get(path).status_code == 200
    for refused in (reader.post("/api/providers", ACCOUNT, format="json"), reader.delete(path)):
        assert refused.status_code == 403
        assert "This needs the right to change, which your key or account lacks" in refused.json()["detail"]
    assert client.delete(path).status_code == 204


REFUSED_URLS = [
    "http://api.example.com",
    "ftp://api.example.com",
    "file:///etc/passwd",
    "https://",
    "https:///v1",
    "https://user:password@api.example.com",
    "https://api.example.com/v1?key=1",
    "https://api.example.com/v1#x",
    "https://127.0.0.1",
    "https://[::1]/v1",
    "https://10.0.0.5/v1",
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:127.0.0.1]/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://localhost/v1",
    "https://LOCALHOST./v1",
    "https://a.localhost/v1",
    "https://api.example.com:99999/",
    "https://api.example.com\\@evil.example/",
    "https://api example.com/",
    "https://\u0430pi.example.com/",
    "https://api.example.com/\x00",
    "//api.example.com",
    "api.example.com",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_base_url_that_leads_inside_or_astray_is_refused(url: str) -> None:
    assert problem_with_base_url(url, may_be_private=lambda host: False)


@pytest.mark.parametrize("url", ["https://api.example.com", "https://api.example.com:8443/v1/", "https://8.8.8.8/v1"])
def test_a_public_https_url_is_accepted(url: str) -> None:
    assert problem_with_base_url(url, may_be_private=lambda host: False) is None


@pytest.mark.parametrize("url", ["http://localhost:11434/v1", "http://10.0.0.5:8000", "https://10.0.0.5"])
def test_the_operator_may_open_a_host(url: str) -> None:
    assert problem_with_base_url(url, may_be_private=lambda host: host in ("localhost", "10.0.0.5")) is None


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://user@localhost/"])
def test_some_things_no_operator_opens(url: str) -> None:
    assert problem_with_base_url(url, may_be_private=lambda host: True)


def test_a_teams_account_is_among_its_models_and_no_other_teams(client: APIClient) -> None:
    other = Team.objects.create(name="other")
    sentence = models_for(Team.default().pk).problem_with("acme:large")
    assert sentence is not None
    add(client, prices={"large": {"input": "2.50", "output": 10}})
    models = models_for(Team.default().pk)
    assert models.problem_with("acme:large") is None
    price = models.price("acme:large")
    assert price is not None
    assert (price.input_per_million, price.output_per_million) == (Decimal("2.50"), Decimal(10))
    assert models_for(other.pk).problem_with("acme:large") is not None


def test_one_registry_lives_on_until_an_account_changes(client: APIClient) -> None:
    path = add(client)["Location"]
    team_id = Team.default().pk
    first = models_for(team_id)
    assert models_for(team_id) is first
    client.patch(path, {"max_concurrent_calls": 5}, format="json")
    second = models_for(team_id)
    assert second is not first
    client.delete(path)
    assert models_for(team_id).problem_with("acme:large") is not None


def test_a_design_may_name_a_teams_account(client: APIClient) -> None:
    design = document()
    design["blocks"][0]["data"]["agents"][0]["model"] = "acme:large"  # type: ignore[index, call-overload] # JSON
    before = client.post("/api/designs/validate", design, format="json").json()["problems"]
    assert [problem["code"] for problem in before] == ["unknown_model"]
    add(client)
    assert client.post("/api/designs/validate", design, format="json").json() == {"problems": []}


def test_an_account_of_the_environment_is_not_taken_over(client: APIClient) -> None:
    path = add(client, name="openai", prices={"large": {"input": "1", "output": "1"}})["Location"]
    taken = models_for(Team.default().pk).price("openai:large")
    assert taken is not None
    environment = settings.ENVIRONMENT.model_copy(update={"openai_api_key": SecretStr("sk-of-the-operator")})
    with override_settings(ENVIRONMENT=environment):
        refused = client.post("/api/providers", {**ACCOUNT, "name": "openai"}, format="json")
        assert refused.status_code == 422
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/name"]
        # It was there before the variable was set: it can be changed and renamed, and does not count.
        assert client.patch(path, {"name": "openai", "max_concurrent_calls": 2}, format="json").status_code == 200
        assert models_for(Team.default().pk).price("openai:large") != taken


def test_a_key_that_cannot_be_decrypted_takes_nothing_else_with_it(client: APIClient) -> None:
    path = add(client)["Location"]
    with override_settings(ENCRYPTION_KEYS=[Fernet.generate_key().decode()]):
        add(client, name="second")
        assert client.get(path).status_code == 200
        models = models_for(Team.default().pk)
        assert models.problem_with("second:large") is None
        assert models.problem_with("acme:large") is not None
        assert models.problem_with("offline:demo") is None
    add(client, name="third")


@pytest.fixture
def browser() -> Client:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    return browser


def form(**changes: Any) -> dict[str, Any]:
    return {"team": Team.default().pk, "name": "acme", "kind": "openai", "base_url": "", "prices": "{}", **changes}


def test_the_admin_writes_a_key_and_never_shows_it(browser: Client) -> None:
    added = browser.post("/admin/designs/provideraccount/add/", form(new_api_key=SECRET))
    assert added.status_code == 302, added.content
    account = ProviderAccount.objects.get()
    assert account.api_key == SECRET
    page = f"/admin/designs/provideraccount/{account.pk}/change/"
    assert SECRET not in browser.get(page).content.decode()
    assert browser.post(page, form(name="renamed", new_api_key="")).status_code == 302
    account.refresh_from_db()
    assert (account.name, account.api_key) == ("renamed", SECRET)


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "https://evil.example"},
        {"base_url": "http://10.0.0.5"},
        {"name": "offline"},
        {"prices": '{"m": {"input": "x", "output": "1"}}'},
        {"prices": "[1]"},
        {"max_concurrent_calls": "0"},
    ],
)
def test_the_admin_refuses_what_the_api_refuses(browser: Client, change: dict[str, str]) -> None:
    browser.post("/admin/designs/provideraccount/add/", form(new_api_key=SECRET))
    account = ProviderAccount.objects.get()
    refused = browser.post(f"/admin/designs/provideraccount/{account.pk}/change/", form(**change))
    assert refused.status_code == 200
    assert b"errorlist" in refused.content
    stored = ProviderAccount.objects.get()
    assert (stored.name, stored.base_url, stored.prices) == ("acme", "", {})


def test_the_admin_says_that_a_key_has_to_be_typed_again_and_when_there_is_none(browser: Client) -> None:
    wrong = browser.post("/admin/designs/provideraccount/add/", form(new_api_key=SECRET, base_url="http://10.0.0.5"))
    assert b"Type the key again" in wrong.content
    stored = browser.post("/admin/designs/provideraccount/add/", form(), follow=True)
    assert b"has no key" in stored.content


@pytest.mark.distributed
@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_none_sends_a_key_where_it_was_not_given_for(client: APIClient) -> None:
    """The second one has read the address of before, and would write it beside the key of the first one."""
    path = add(client, base_url="https://old.example.com/v1")["Location"]
    answers: list[Any] = []

    def change_something_else() -> None:
        answers.append(client.patch(path, {"max_concurrent_calls": 5}, format="json"))
        connection.close()

    other = threading.Thread(target=change_something_else)
    with transaction.atomic():
        account = ProviderAccount.objects.select_for_update().get()
        account.base_url, account.api_key = "https://new.example.com/v1", "sk-of-the-new-host-0123"
        account.save()
        other.start()
        wait_until_somebody_waits()
    other.join(20)
    assert answers[0].status_code == 200
    account.refresh_from_db()
    assert (account.base_url, account.max_concurrent_calls) == ("https://new.example.com/v1", 5)
    assert account.api_key == "sk-of-the-new-host-0123"


def wait_until_somebody_waits() -> None:
    """For a row that this connection holds."""
    deadline = time.monotonic() + 20
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with connection.cursor() as cursor:
        while cursor.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.02)
