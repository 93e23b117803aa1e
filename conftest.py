"""Fixtures for every test: the system itself, embedded and distributed, as real processes.

`embedded_site` and `distributed_site` last for the session, and `site` is each in turn. A test that uses one bears its
mark, `embedded` or `distributed`, by which the lanes of `make test` choose.
"""

import os
import secrets
from collections.abc import Iterator
from typing import cast

import pytest
from django.apps import apps
from django.db.models.signals import post_migrate
from playwright.sync_api import Browser, StorageState

from orchestration_site.collector import settle_collector
from orchestration_site.proving.servers import free_port, run_postgres, run_redis
from orchestration_site.tests.browser import Visitor, run_browser, run_visitor, sign_in_once
from orchestration_site.tests.sites import Site, run_distributed_site, run_embedded_site
from orchestration_site.tests.trace_receiver import TraceReceiver, run_trace_receiver

MODES = ("embedded", "distributed")
DATABASE_FIXTURES = {"db", "transactional_db", "postgres_url", "redis_url", *(f"{mode}_site" for mode in MODES), "site"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "embedded: needs the system in one process, on SQLite")
    config.addinivalue_line("markers", "durability: kills processes and servers of a system of its own")
    config.addinivalue_line("markers", "either_database: the same on both, and long; runs on SQLite alone")
    config.addinivalue_line("markers", "without_database: touches no database; added by itself")
    config.addinivalue_line("markers", "browser: visits the pages of the system in one process with a real browser")
    config.addinivalue_line("markers", "long: of a file that takes long: begun first, so that no core waits for it")
    config.addinivalue_line("markers", "distributed: needs the system as processes, on PostgreSQL and Redis")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mode in MODES:
            if f"{mode}_site" in getattr(item, "fixturenames", ()):
                item.add_marker(mode)
        if not needs_database(item):
            item.add_marker("without_database")
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """What was imported stays: looking for garbage in it again and again is a tenth of the time of many small tests."""
    settle_collector()


def needs_database(item: pytest.Item) -> bool:
    """Whether what it shows may depend on which database there is. Those of which it cannot run in one lane only."""
    fixtures = set(getattr(item, "fixturenames", ()))
    marked = any(item.get_closest_marker(name) is not None for name in ("django_db", *MODES))
    return marked or bool(fixtures & DATABASE_FIXTURES)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """A test that commits is followed by a flush: what a migration has put in the tables is put there again."""
    post_migrate.connect(restore_default_team, sender=apps.get_app_config("access"))


def restore_default_team(**_: object) -> None:
    apps.get_model("access", "Team")._default_manager.get_or_create(name="default")  # noqa: SLF001 - Django's documented API


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server for the session; the lanes hand theirs down."""
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield given
        return
    with run_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server for the session."""
    with run_redis() as url:
        yield url


@pytest.fixture(scope="session")
def embedded_site() -> Iterator[Site]:
    """`manage.py serve` on SQLite."""
    with run_embedded_site() as site:
        yield site


@pytest.fixture(scope="session")
def traces() -> Iterator[TraceReceiver]:
    """The collector that `distributed_site` sends its traces to."""
    with run_trace_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def distributed_site(postgres_url: str, redis_url: str, traces: TraceReceiver) -> Iterator[Site]:
    """Web, worker and beat on PostgreSQL and Redis, with everything on that measures them; embedded it is off."""
    probes = {role: {"METRICS_PORT": str(free_port())} for role in ("worker", "beat")}
    measured = {
        "METRICS_TOKEN": secrets.token_hex(16),
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=tests",
        "LOG_FORMAT": "json",
    }
    with run_distributed_site(postgres_url, redis_url, probes, **measured) as site:
        yield site


@pytest.fixture(scope="session", params=[pytest.param(mode, marks=getattr(pytest.mark, mode)) for mode in MODES])
def site(request: pytest.FixtureRequest) -> Site:
    """The system, embedded and distributed in turn."""
    return cast(Site, request.getfixturevalue(f"{request.param}_site"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, for the session."""
    with run_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def signed_in(chromium: Browser, embedded_site: Site) -> StorageState:
    """What a browser keeps of `admin`, who has signed in through the form."""
    return sign_in_once(chromium, embedded_site)


@pytest.fixture
def visitor(chromium: Browser, embedded_site: Site, signed_in: StorageState) -> Iterator[Visitor]:
    """Somebody who is signed in as `admin` and has opened no page; the test fails when a page complained."""
    with run_visitor(chromium, embedded_site, storage_state=signed_in) as visitor:
        yield visitor
