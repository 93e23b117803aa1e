"""SIGTERM to the process that answers, while callers wait in it: each gets an answer, and nobody loses an execution.

Told once for the system in one process (`serve`) and once for `web`, whose workers run on.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import cast

import httpx
import pytest

from deployments.tests.site_api import EVERYTHING, SiteApi
from orchestration_site.proving.mock_provider import ChatRequest
from orchestration_site.proving.processes import Process, wait_for_url, wait_until_ready
from orchestration_site.tests.sites import Site, run_distributed_site, run_embedded_site

pytestmark = pytest.mark.durability

DRAIN_SECONDS = 4
#: Nobody waits for its end.
LONG_DRAIN_SECONDS = 600
#: What a busy machine may take beyond the grace, less than the callers would have waited.
SECONDS_MORE = 40
PATIENCE = 60.0


@dataclass
class Story:
    """What was seen."""

    soon: httpx.Response
    late: httpx.Response
    streamed: str
    newcomers: set[int]
    status: int
    seconds: float
    log: str
    afterwards: str


@pytest.fixture(
    scope="module",
    params=[pytest.param("serve", marks=pytest.mark.embedded), pytest.param("web", marks=pytest.mark.distributed)],
)
def story(request: pytest.FixtureRequest) -> Iterator[Story]:
    with ExitStack() as stack:
        if request.param == "serve":
            site = stack.enter_context(run_embedded_site(drain_seconds=DRAIN_SECONDS))
        else:
            postgres, redis = (cast(str, request.getfixturevalue(name)) for name in ("postgres_url", "redis_url"))
            site = stack.enter_context(run_distributed_site(postgres, redis, drain_seconds=DRAIN_SECONDS))
        yield Told(site, site.processes[request.param]).tell()


class Told:
    """The story's telling. `soon` are calls whose model answers within the grace, `late` those whose does not."""

    def __init__(self, site: Site, process: Process) -> None:
        self.site, self.process = site, process
        self.api = SiteApi(site, site.make_key(scopes=EVERYTHING))
        self.deployed = {model: self.api.deploy(f"openai:{model}") for model in ("soon", "late")}
        self.released: set[str] = set()
        self.read = ""
        self.threads = ThreadPoolExecutor(4)
        site.provider.script = self.answer_when_released

    def tell(self) -> Story:
        soon, late = self.call("soon"), self.call("late")
        self.until(lambda: self.site.provider.counters.in_flight == 2)
        streamed = self.threads.submit(self.follow, "late")
        self.until(lambda: "event: agent.started" in self.read)
        self.process.running.send_signal(signal.SIGTERM)
        began = time.monotonic()
        newcomers = self.come_until_refused()
        self.released.add("soon")
        answered, sent_away = soon.result(PATIENCE), late.result(PATIENCE)
        status = self.process.running.wait(PATIENCE)
        seconds = time.monotonic() - began
        log = self.process.said()
        streamed.result(PATIENCE)
        self.released.add("late")
        afterwards = self.look_again(sent_away)
        return Story(answered, sent_away, self.read, newcomers, status, seconds, log, afterwards)

    def call(self, model: str) -> "Future[httpx.Response]":
        return self.threads.submit(self.deployed[model].call, None, Prefer="wait=60")

    def follow(self, model: str) -> None:
        """Be a viewer of its execution until the stream ends, however it does."""
        path = f"/api/executions/{self.deployed[model].only_execution()}/events"
        with suppress(httpx.TransportError), self.api.http.stream("GET", path) as stream:
            for text in stream.iter_text():
                self.read += text

    def come_until_refused(self) -> set[int]:
        """The answers to new connections, up to the first that is refused by status or not taken at all (0)."""
        answers: set[int] = set()
        while not answers & {0, 503}:
            try:
                answer = httpx.get(
                    f"{self.site.base_url}/api/deployments", headers=self.api.http.headers, timeout=PATIENCE
                )
                answers.add(answer.status_code)
                assert answer.status_code == 200 or int(answer.headers["Retry-After"]) > 0
            except httpx.ConnectError:
                answers.add(0)
        return answers

    def look_again(self, late: httpx.Response) -> str:
        """How the execution ends whose caller was sent away."""
        self.process.restart()
        if self.process.name == "serve":
            self.site.base_url = wait_for_url(self.process)
        wait_until_ready(self.site.base_url, self.process)
        again = SiteApi(self.site, self.api.http.headers["Authorization"].removeprefix("Bearer "))
        return str(again.wait_for_end(late.json()["execution_id"])["status"])

    async def answer_when_released(self, request: ChatRequest) -> str | None:
        while request.model not in self.released:  # noqa: ASYNC110 - released by a thread
            await asyncio.sleep(0.02)
        return None

    def until(self, look: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not look():
            assert time.monotonic() < end
            time.sleep(0.02)


def test_whoever_waits_for_what_ends_within_the_grace_gets_the_result(story: Story) -> None:
    assert story.soon.status_code == 200, story.soon.text


def test_whoever_waits_for_more_gets_a_202_and_the_execution_goes_on(story: Story) -> None:
    assert story.late.status_code == 202, story.late.text
    assert story.late.headers["Location"] == story.late.json()["url"]
    assert int(story.late.headers["Retry-After"]) > 0
    assert story.afterwards == "completed"


def test_whoever_comes_meanwhile_is_refused_and_told_when_to_come_again(story: Story) -> None:
    assert story.newcomers & {0, 503}


def test_a_stream_ends_where_it_is(story: Story) -> None:
    assert "event: agent.started" in story.streamed
    assert "event: execution.completed" not in story.streamed


def test_the_process_ends_within_its_grace_and_in_order(story: Story) -> None:
    assert story.status == 0
    assert DRAIN_SECONDS <= story.seconds < DRAIN_SECONDS + SECONDS_MORE
    assert "Traceback" not in story.log


@pytest.mark.embedded
def test_a_second_signal_means_now() -> None:
    """What runs is given back at once, whoever waits is told where it will be found, and the next start ends it."""
    with run_embedded_site(drain_seconds=LONG_DRAIN_SECONDS) as site:
        told = Told(site, site.processes["serve"])
        late = told.call("late")
        told.until(lambda: site.provider.counters.in_flight == 1)
        told.process.running.send_signal(signal.SIGTERM)
        told.come_until_refused()  # the drain is under way
        assert told.process.running.poll() is None
        told.process.running.send_signal(signal.SIGTERM)
        assert told.process.running.wait(PATIENCE) == 0
        assert "Traceback" not in told.process.said()
        told.released.add("late")
        assert late.result(PATIENCE).status_code == 202
        assert told.look_again(late.result()) == "completed"
