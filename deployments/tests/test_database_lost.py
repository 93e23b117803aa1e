"""PostgreSQL is killed under a running site and comes back: what callers see, and that nobody has to restart it.

One story, lived once: the server is restarted while nobody asks; then it is killed while callers wait for results,
every kind of address is asked, and it is started again.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.tests.site_api import EVERYTHING, Deployed, SiteApi
from orchestration_site.proving.mock_provider import ChatRequest
from orchestration_site.proving.servers import PostgresServer
from orchestration_site.tests.sites import ADMIN_PASSWORD, Site, run_distributed_site

pytestmark = [pytest.mark.durability, pytest.mark.distributed]

PATIENCE = 60.0
AT_ONCE = 40
#: Beyond the seconds that psycopg's pool would let each caller wait for a connection.
NO_WAITING_FOR_THE_POOL = 8.0
WAITS_BRIEFLY, WAITS_LONG = "wait=2", "wait=60"


@dataclass
class Story:
    """What was seen."""

    after_restart: Counter[int] = field(default_factory=Counter)
    meanwhile: dict[str, httpx.Response] = field(default_factory=dict)
    pages: dict[str, httpx.Response] = field(default_factory=dict)
    readiness: int = 0
    many: Counter[int] = field(default_factory=Counter)
    seconds_for_many: float = 0.0
    afterwards: Counter[int] = field(default_factory=Counter)
    calls_afterwards: Counter[int] = field(default_factory=Counter)
    waited_briefly: httpx.Response | None = None
    waited_long: httpx.Response | None = None
    starts: int = 0


@pytest.fixture(scope="module")
def story(redis_url: str) -> Iterator[Story]:
    # Not pytest's folder: the user that PostgreSQL runs as may not look into it.
    with (
        tempfile.TemporaryDirectory(prefix="orchestration-pg-") as folder,
        PostgresServer(Path(folder)) as postgres,
        run_distributed_site(postgres.url, redis_url) as site,
    ):
        yield Told(site, postgres).tell()


class Told:
    """The story's telling."""

    def __init__(self, site: Site, postgres: PostgresServer) -> None:
        self.site, self.postgres, self.story = site, postgres, Story()
        self.api = SiteApi(site, site.make_key(scopes=EVERYTHING))
        self.endpoint = self.api.deploy()
        self.held = self.api.deploy("openai:held")
        self.ended = self.endpoint.call().json()["execution_id"]
        self.browser = signed_in(site)
        self.threads = ThreadPoolExecutor(AT_ONCE)
        self.is_released = False
        site.provider.script = self.answer_when_released

    def tell(self) -> Story:
        self.ask_at_once()  # so that the pool has many connections
        self.postgres.crash()
        self.postgres.start()
        self.story.after_restart = self.ask_at_once()
        briefly, long = self.call_and_wait(WAITS_BRIEFLY), self.call_and_wait(WAITS_LONG)
        self.until(lambda: self.site.provider.counters.in_flight == 2)
        self.postgres.crash()
        self.ask_everything()
        self.story.waited_briefly = briefly.result(PATIENCE)
        self.postgres.start()
        self.until(lambda: self.api.http.get("/api/deployments").status_code == 200)
        self.story.afterwards = self.ask_at_once()
        self.story.calls_afterwards = Counter(
            answer.status_code for answer in self.threads.map(lambda _: self.endpoint.call(), range(AT_ONCE))
        )
        self.is_released = True
        self.story.waited_long = long.result(PATIENCE)
        return self.story

    def ask_everything(self) -> None:
        began = time.monotonic()
        self.story.many = self.ask_at_once()
        self.story.seconds_for_many = time.monotonic() - began
        for method, path in addresses(self.endpoint, self.ended):
            body = {"text": "Hello."} if method in ("POST", "PUT") else None
            self.story.meanwhile[f"{method} {path}"] = self.api.http.request(method, path, json=body)
        for path in ("/admin/", "/admin/deployments/deployment/", "/admin/login/"):
            self.story.pages[path] = self.browser.get(path)
        self.story.readiness = self.api.http.get("/readyz").status_code

    def ask_at_once(self) -> Counter[int]:
        ask = lambda _: self.api.http.get(f"/api/executions/{self.ended}").status_code  # noqa: E731
        return Counter(self.threads.map(ask, range(AT_ONCE)))

    def call_and_wait(self, prefer: str) -> "Future[httpx.Response]":
        return self.threads.submit(self.held.call, None, Prefer=prefer)

    async def answer_when_released(self, request: ChatRequest) -> str | None:
        while request.model == "held" and not self.is_released:  # noqa: ASYNC110 - released by a thread
            await asyncio.sleep(0.05)
        return None

    def until(self, look: Any) -> None:
        end = time.monotonic() + PATIENCE
        while not look():
            assert time.monotonic() < end
            time.sleep(0.05)


def addresses(endpoint: Deployed, execution_id: str) -> list[tuple[str, str]]:
    """One of each kind."""
    return [
        ("GET", "/api/deployments"),
        ("PUT", f"/api/deployments/{endpoint.id}"),
        ("POST", f"/api/deployments/{endpoint.id}/execute"),
        ("GET", f"/api/deployments/{endpoint.id}/logs"),
        ("GET", "/api/designs"),
        ("POST", "/api/designs"),
        ("GET", "/api/keys"),
        ("GET", endpoint.path),
        ("POST", endpoint.path),
        ("GET", f"/api/executions/{execution_id}"),
        ("GET", f"/api/executions/{execution_id}/events"),
        ("POST", f"/api/executions/{execution_id}/cancel"),
    ]


def signed_in(site: Site) -> httpx.Client:
    """A browser in which `admin` has signed in."""
    browser = httpx.Client(base_url=site.base_url, timeout=PATIENCE)
    browser.get("/admin/login/")
    form = {"username": "admin", "password": ADMIN_PASSWORD, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    assert browser.post("/admin/login/?next=/admin/", data=form).status_code == 302
    return browser


def test_a_restart_that_nobody_met_is_not_noticed(story: Story) -> None:
    assert story.after_restart == {200: AT_ONCE}


def test_every_kind_of_address_says_503_and_when_to_try_again(story: Story) -> None:
    assert {name: answer.status_code for name, answer in story.meanwhile.items()} == dict.fromkeys(story.meanwhile, 503)
    for answer in story.meanwhile.values():
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/database-unavailable"
        assert int(answer.headers["Retry-After"]) > 0


def test_nobody_waits_for_a_server_that_is_known_to_be_away(story: Story) -> None:
    assert story.many == {503: AT_ONCE}
    assert story.seconds_for_many < NO_WAITING_FOR_THE_POOL


def test_a_page_says_so_too(story: Story) -> None:
    for answer in (story.pages["/admin/"], story.pages["/admin/deployments/deployment/"]):
        assert answer.status_code == 503, answer.text
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "Try again" in answer.text
        assert int(answer.headers["Retry-After"]) > 0


def test_a_probe_is_told(story: Story) -> None:
    assert story.readiness == 503


def test_the_site_works_again_without_a_restart_and_without_a_broken_connection(story: Story) -> None:
    assert story.afterwards == {200: AT_ONCE}
    assert story.calls_afterwards == {200: AT_ONCE}


def test_whoever_waits_no_longer_than_the_outage_gets_a_202(story: Story) -> None:
    assert story.waited_briefly is not None
    assert story.waited_briefly.status_code == 202
    assert story.waited_briefly.headers["Location"] == story.waited_briefly.json()["url"]


def test_whoever_waits_longer_gets_the_result(story: Story) -> None:
    assert story.waited_long is not None
    assert story.waited_long.status_code == 200, story.waited_long.text
