"""Fixtures: a running site as a client of it sees it; a worker and a provider of models within this process."""

import secrets
from collections.abc import Iterator
from concurrent.futures import wait
from threading import Barrier

import pytest
from django.conf import settings

from access.models import Team
from deployments.executions import database_threads
from deployments.executions.worker import Worker
from deployments.executions.writer import GroupCommitWriter
from deployments.tests.site_api import EVERYTHING, Deployed, History, SiteApi
from designs.models import ProviderAccount
from orchestration_site.proving.mock_provider import MockProvider, serve_in_thread
from orchestration_site.tests.sites import Site


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    worker.start()
    yield worker
    worker.drain(0)
    end_database_work()


def end_database_work() -> None:
    """What was broken off goes on in its thread to its end: the tables cannot be emptied before."""
    threads = database_threads._threads
    all_free = Barrier(threads._max_workers)
    wait([threads.submit(all_free.wait, 30) for _ in range(threads._max_workers)])


@pytest.fixture
def writer() -> Iterator[GroupCommitWriter]:
    writer = GroupCommitWriter()
    writer.start()
    yield writer
    writer.stop()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockProvider]:
    """A provider that the default team's account `mock` leads to. Needs the database."""
    allowed = settings.ENVIRONMENT.model_copy(update={"private_hosts": ["127.0.0.1"]})
    monkeypatch.setattr(settings, "ENVIRONMENT", allowed)
    with serve_in_thread() as server:
        ProviderAccount.objects.create(
            team=Team.default(), name="mock", kind="openai", base_url=server.base_url, api_key="secret"
        )
        yield server


@pytest.fixture(scope="module")
def api(site: Site) -> SiteApi:
    """The site, with a key that may do everything."""
    return SiteApi(site, site.make_key(scopes=EVERYTHING))


@pytest.fixture(scope="module")
def endpoint(api: SiteApi) -> Deployed:
    """An endpoint that answers at once."""
    return api.deploy()


@pytest.fixture(scope="module")
def history(api: SiteApi) -> History:
    """A deployment, its execution that failed, and two after it that completed."""
    deployed = api.deploy(f"openai:status-400-1+history{secrets.token_hex(4)}")  # counted by its name, on one site
    failed = deployed.call()
    assert failed.status_code == 502, failed.text
    completed = [deployed.call().json()["execution_id"], deployed.call().json()["execution_id"]]
    return deployed, failed.json()["execution_id"], completed


@pytest.fixture(scope="module")
def page_api(embedded_site: Site) -> SiteApi:
    """The site whose pages are visited, over REST, with a key that may do everything: `key:program`."""
    return SiteApi(embedded_site, embedded_site.make_key("program", scopes=EVERYTHING))


@pytest.fixture
def deployed(page_api: SiteApi) -> Deployed:
    """A deployment on that site that no other test looks at."""
    return page_api.deploy()
