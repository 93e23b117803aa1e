"""PostgreSQL goes away and comes back: what a process with a pool of connections makes of it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, cast

import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from orchestration_site import factories
from orchestration_site.postgresql.base import DatabaseWrapper
from orchestration_site.proving.servers import PostgresServer, run_server

pytestmark = pytest.mark.distributed

AT_ONCE = 4


class Client:
    """Threads that each query on a connection of their own, out of one pool."""

    def __init__(self, server: PostgresServer) -> None:
        databases = {"default": factories.database(f"{server.url}/postgres", data_dir=Path(), pool=AT_ONCE)}
        self._connections = ConnectionHandler(databases)
        self._threads = ThreadPoolExecutor(AT_ONCE)

    def query(self, *, meet: Callable[[], object] = lambda: None) -> int:
        """The process of the server that answers. All who meet hold a connection at the same time."""
        connection = self._connections["default"]
        try:
            with connection.cursor() as cursor:
                meet()
                cursor.execute("SELECT pg_backend_pid()")
                return int(cursor.fetchone()[0])
        finally:
            connection.close()

    def query_at_once(self) -> set[int]:
        """The processes that answer `AT_ONCE` threads."""
        all_connected = Barrier(AT_ONCE)
        asked = [self._threads.submit(self.query, meet=lambda: all_connected.wait(30)) for _ in range(AT_ONCE)]
        return {each.result() for each in asked}

    def refusals(self) -> list[float]:
        """How long each of `AT_ONCE` threads waits until it is refused, in seconds, the quickest first."""
        return sorted(self._threads.map(lambda _: self._refusal(), range(AT_ONCE)))

    def _refusal(self) -> float:
        began = time.monotonic()
        with pytest.raises(OperationalError):
            self.query()
        return time.monotonic() - began

    def close(self) -> None:
        self._threads.shutdown()
        cast(DatabaseWrapper, self._connections["default"]).close_pool()


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with run_server(PostgresServer) as server:
        yield server


@pytest.fixture
def client(server: PostgresServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Client]:
    client = Client(server)
    with django_db_blocker.unblock():
        yield client
    client.close()


def test_after_a_restart_no_query_meets_a_connection_from_before(server: PostgresServer, client: Client) -> None:
    """Without that, each of the pool's connections would fail a query first."""
    before = client.query_at_once()
    server.crash()
    server.start()
    after = client.query_at_once()
    assert len(before) == len(after) == AT_ONCE
    assert not before & after


def test_while_it_is_away_one_waits_and_the_others_are_refused_at_once(server: PostgresServer, client: Client) -> None:
    """Else every thread that answers requests would wait, and nobody be answered at all."""
    client.query()
    server.crash()
    client.refusals()
    *quick, last = client.refusals()
    assert max(quick) < 1 < last
    server.start()
    patience = time.monotonic() + 30
    while (process := answers(client)) is None:
        assert time.monotonic() < patience
    assert process
    assert len(client.query_at_once()) == AT_ONCE


def answers(client: Client) -> Any:
    """Which process answers, if one does."""
    try:
        return client.query()
    except OperationalError:
        return None
