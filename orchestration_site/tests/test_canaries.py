"""A secret in every place that takes one: afterwards it is looked for everywhere that anybody reads."""

import re
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest
import redis
from cryptography.fernet import Fernet
from psycopg import sql

from orchestration_site.proving.mock_replies import ChatRequest, Reply
from orchestration_site.tests.sites import Site, run_distributed_site

pytestmark = pytest.mark.long

SECRETS = {
    "OPENAI_API_KEY": "sk-canary-of-the-environment-1f6b",
    "ANTHROPIC_API_KEY": "sk-ant-canary-of-the-environment-82c4",
    "SECRET_KEY": "canary-that-signs-0123456789-abcdefghijklmnopqrstuvwxyz-77",
    "METRICS_TOKEN": "canary-that-reads-metrics-4411",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-collector=canary-of-the-collector-7d02",
    "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
}
ACCOUNT_KEY, CHANGED_KEY = "sk-canary-of-an-account-9d20", "sk-canary-of-an-account-changed-5be1"
HOOK_TOKEN = "canary-of-a-webhooks-address-4a77"
TYPED_WRONG = "sk-canary-in-the-wrong-field-c3a8"
LISTS = ("designs", "deployments", "executions", "keys", "providers", "audit")


@dataclass
class Heard:
    """Every command that Redis was sent: Celery's messages and what live progress says."""

    commands: list[str] = field(default_factory=list)

    def listen(self, url: str) -> None:
        def take() -> None:
            client: Any = redis.Redis.from_url(url, socket_timeout=None)
            with client.monitor() as monitor, suppress(redis.ConnectionError):  # the server's end is the end of it
                self.commands.extend(str(command) for command in monitor.listen())

        threading.Thread(target=take, daemon=True).start()

    def text(self) -> str:
        """All of it, with the bodies of messages, which go as base64, readable as well."""
        sent = "\n".join(self.commands)
        bodies = [
            b64decode(body).decode() for body in re.findall(r'"body": "([A-Za-z0-9+/=]+)"', sent.replace("\\", ""))
        ]
        return "\n".join([sent, *bodies])


def repeat_the_key(request: ChatRequest) -> Reply | None:
    """A provider that puts the whole key into what it says of a request."""
    if request.model != "indiscreet":
        return None
    key = next(value for name, value in request.headers.items() if name.lower() == "authorization")
    return Reply(status=400, error_message=f"Incorrect API key provided: {key}", error_code=key)


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def used(postgres_url: str, redis_url: str, heard: Heard) -> Iterator[tuple[Site, dict[str, str]]]:
    """A site on which everything that takes a secret was used; and all the secrets by what they are."""
    heard.listen(redis_url)
    with run_distributed_site(postgres_url, redis_url, PRIVATE_HOSTS="127.0.0.1", LOG_LEVEL="DEBUG", **SECRETS) as site:
        site.provider.script = repeat_the_key
        key = site.make_key("manager", scopes=("execute", "read", "manage"))
        with httpx.Client(base_url=site.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as api:
            made = use_everything(api, site)
            hook = alert(api, site)
        yield (
            site,
            {
                **SECRETS,
                "a key": key.split("_", 2)[2],
                "another key": made.split("_", 2)[2],
                "a webhook's secret": hook.removeprefix("whsec_"),
                "a webhook's address": HOOK_TOKEN,
                **of_accounts(site),
            },
        )


def of_accounts(site: Site) -> dict[str, str]:
    return {
        "an account's key": ACCOUNT_KEY,
        "its new key": CHANGED_KEY,
        "a key in a wrong field": TYPED_WRONG,
        "the admin's password": site.admin_password,
    }


def use_everything(api: httpx.Client, site: Site) -> str:
    """The key that was made over REST."""
    account = {"name": "acme", "kind": "openai", "base_url": site.provider_url, "api_key": ACCOUNT_KEY}
    answer = api.post("/api/providers", json=account)
    assert answer.status_code == 201, answer.text
    account_id = answer.json()["id"]
    assert api.patch(f"/api/providers/{account_id}", json={"api_key": CHANGED_KEY}).status_code == 200
    assert api.patch(f"/api/providers/{account_id}", json={"kind": TYPED_WRONG}).status_code == 422
    for model in ("openai:indiscreet", "acme:indiscreet", "acme:fine", "openai:fine"):
        execute(api, model)
    return str(api.post("/api/keys", json={"name": "another"}).json()["key"])


def alert(api: httpx.Client, site: Site) -> str:
    """The secret of a webhook that was told of something, and could not be reached."""
    deployment = api.get("/api/deployments").json()["results"][0]["id"]
    alerts = f"/api/deployments/{deployment}/alerts"
    target = {
        "kind": "webhook",
        "url": f"{site.provider_url}/{HOOK_TOKEN}?token={HOOK_TOKEN}",
        "events": ["execution.failed"],
    }
    answer = api.post(alerts, json=target)
    assert answer.status_code == 201, answer.text
    here = f"{alerts}/{answer.json()['id']}"
    assert api.post(f"{here}/test").status_code == 202
    while not api.get(f"{here}/deliveries").json()["results"][0]["log"]:
        pass
    return str(answer.json()["secret"])


def execute(api: httpx.Client, model: str) -> None:
    agent = {"id": "a", "name": "Agent", "model": model}
    data = {"label": "Step", "task": "Say something.", "agents": [agent]}
    blocks = [{"id": "b", "type": "sequential", "data": data}]
    path = model.replace(":", "-")
    design = api.post("/api/designs", json={"format": 1, "name": path, "blocks": blocks, "connections": []}).json()
    assert api.post("/api/deployments", json={"design_id": design["id"], "endpoint_path": path}).status_code == 201
    answer = api.post(f"/api/deployed/{path}", json={})
    assert answer.status_code == (502 if "indiscreet" in model else 200), answer.text
    if "indiscreet" in model:
        assert "Incorrect API key" in answer.text, "the failure is told"


def assert_clean(place: str, text: str, secrets: dict[str, str]) -> None:
    found = [name for name, secret in secrets.items() if secret in text]
    assert not found, f"{place} holds {found}"


def signed_in(site: Site) -> httpx.Client:
    pages = httpx.Client(base_url=site.base_url, follow_redirects=True, timeout=60)
    token = pages.get("/sign-in").cookies["csrftoken"]
    typed = {"username": "admin", "password": site.admin_password, "csrfmiddlewaretoken": token}
    pages.post("/sign-in", data=typed)
    assert "sessionid" in pages.cookies
    return pages


Used = tuple[Site, dict[str, str]]


def test_no_secret_is_in_the_database(used: Used) -> None:
    site, secrets = used
    looked_at = 0
    with psycopg.connect(site.env["DATABASE_URL"]) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            rows = connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))).fetchall()
            assert_clean(table, "\n".join(row for (row,) in rows), secrets)
            looked_at += len(rows)
    assert looked_at > 100


def test_no_secret_is_in_a_log(used: Used) -> None:
    site, secrets = used
    for name, process in site.processes.items():
        logged = process.log.read_text()
        assert_clean(f"the log of {name}", logged, secrets)
    assert "execution" in site.processes["worker"].log.read_text().lower()


def test_no_secret_is_in_a_message(used: Used, heard: Heard) -> None:
    _, secrets = used
    assert "deployments.run_execution" in heard.text()
    assert '"callbacks": null' in heard.text(), "the messages' bodies were read"
    assert_clean("a message", heard.text(), secrets)


def test_no_secret_is_answered_over_rest(used: Used) -> None:
    site, secrets = used
    key = site.make_key("reader", scopes=("execute", "read", "manage"))
    with httpx.Client(base_url=site.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as api:
        for name in LISTS:
            listed = api.get(f"/api/{name}", params={"limit": 500})
            assert_clean(name, listed.text, secrets)
            rows: list[dict[str, Any]] = listed.json()["results"]
            assert rows, name
            for row in rows[:20]:
                assert_clean(f"{name} {row['id']}", api.get(f"/api/{name}/{row['id']}").text, secrets)
        wrong = {"name": TYPED_WRONG, "kind": "openai", "api_key": ["not", TYPED_WRONG]}
        answer = api.post("/api/providers", json=wrong)
        assert answer.status_code == 422
        assert_clean("a problem", answer.text, {"a key in a list": TYPED_WRONG})


def test_no_secret_is_on_a_page(used: Used) -> None:
    site, secrets = used
    with closing(signed_in(site)) as pages:
        index = pages.get("/admin/").text
        lists = sorted(set(re.findall(r'href="(/admin/[a-z_]+/[a-z_]+/)"', index)))
        shown = {
            f"/admin/{name}/"
            for name in (
                "designs/provideraccount",
                "deployments/executionlog",
                "deployments/apikey",
                "deployments/alerttarget",
                "deployments/alertdelivery",
            )
        }
        assert shown <= set(lists)
        for path in ("/", "/executions", "/designs", *lists):
            text = pages.get(path).text
            assert_clean(path, text, secrets)
            rows = sorted(set(re.findall(rf'href="({re.escape(path)}[^"/?]+/change/)', text)))
            assert rows or path not in shown
            for row in rows[:4]:
                assert_clean(row, pages.get(row).text, secrets)
