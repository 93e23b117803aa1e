"""The pool over a real PostgreSQL that goes away, comes back, and has no more room."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connections
from psycopg_pool import PoolTimeout

from deployments.prepared_sql import PreparedSql
from orchestration_site.postgresql.pool import PromptPool
from orchestration_site.proving.servers import PostgresServer, run_server

pytestmark = pytest.mark.distributed

PATIENCE = 30.0
#: Whoever had to wait for a connection as long as they may would wait this long.
TIMEOUT = 20.0


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with run_server(PostgresServer, durable=False) as server:
        yield server


@pytest.fixture
def pool(server: PostgresServer) -> Iterator[PromptPool]:
    with make_pool(f"{server.url}/postgres") as pool:
        yield pool


def make_pool(url: str) -> PromptPool:
    kwargs = {"autocommit": True}
    return PromptPool(conninfo=url, kwargs=kwargs, min_size=1, max_size=3, timeout=TIMEOUT, open=True)


def query(pool: PromptPool) -> int:
    """The process of the server that answered."""
    with pool.connection() as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        return int(row[0])


def test_a_server_that_is_away_is_told_at_once_and_one_that_is_back_is_used_at_once(
    server: PostgresServer, pool: PromptPool
) -> None:
    before = query(pool)
    server.crash()
    while not is_refused(pool):
        pass  # the server's children outlive it by a moment, and answer
    began = time.monotonic()
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(lambda _: is_refused(pool), range(12))) == [True] * 12
    assert time.monotonic() - began < TIMEOUT / 2
    server.start()
    assert query_until_it_works(pool) != before


def test_connections_from_before_a_restart_are_not_handed_out(server: PostgresServer, pool: PromptPool) -> None:
    held = [pool.getconn() for _ in range(3)]
    before = {connection.info.backend_pid for connection in held}
    for connection in held:
        pool.putconn(connection)
    server.crash()
    server.start()
    assert {query(pool) for _ in range(6)}.isdisjoint(before)


def test_a_pool_that_cannot_grow_waits_for_a_connection_that_it_has(server: PostgresServer) -> None:
    with psycopg.connect(f"{server.url}/postgres", autocommit=True) as connection:
        connection.execute("CREATE ROLE cramped LOGIN CONNECTION LIMIT 1")
    with make_pool(f"{server.url.replace('postgres@', 'cramped@')}/postgres") as pool:
        only = pool.getconn()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(query, pool)
            # Until it has looked again, and would have been sent away had the server been held to be away.
            while pool.get_stats().get("requests_errors", 0) < 3 and not waiting.done():
                time.sleep(0.01)
            pool.putconn(only)
            assert waiting.result(PATIENCE) == only.info.backend_pid


def is_refused(pool: PromptPool) -> bool:
    try:
        query(pool)
    except psycopg.OperationalError:
        return True
    return False


def query_until_it_works(pool: PromptPool) -> int:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return query(pool)
        except PoolTimeout:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.django_db
def test_what_is_marked_is_prepared_and_nothing_else_however_often_it_comes() -> None:
    """One plan for all values would not know which of them are rare."""
    with connections["default"].cursor() as cursor:
        for _ in range(12):
            cursor.execute(PreparedSql("SELECT %s::int + 1"), [1])
            cursor.execute("SELECT %s::int + 2", [1])
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        prepared = {statement for (statement,) in cursor.fetchall()}
    assert prepared & {"SELECT $1::int + 1", "SELECT $1::int + 2"} == {"SELECT $1::int + 1"}
