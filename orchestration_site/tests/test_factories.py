"""What the factories of the settings make of their URLs."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, cast

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker
from redis.exceptions import TimeoutError as RedisTimeoutError

from orchestration_site import factories
from orchestration_site.postgresql.base import DatabaseWrapper
from orchestration_site.proving.servers import PostgresServer, run_server


def test_a_redis_is_given_two_seconds_to_connect_and_to_answer() -> None:
    [host] = factories.channel_layers("redis://one:6379/0")["default"]["CONFIG"]["hosts"]
    assert host == {"address": "redis://one:6379/0", "socket_connect_timeout": 2, "socket_timeout": 2}


def test_an_operators_own_options_of_postgres_win(tmp_path: Path) -> None:
    url = "postgres://one@two:5432/three?options=-c%20statement_timeout%3D9s"
    options = factories.database(url, data_dir=tmp_path, pool=7, prepares=True)["OPTIONS"]
    assert options["options"] == "-c statement_timeout=9s"
    assert (options["pool"]["max_size"], options["prepare_threshold"]) == (7, 3)


def test_statements_are_not_prepared_behind_a_pooler_that_cannot(tmp_path: Path) -> None:
    options = factories.database("postgres://one@two/three", data_dir=tmp_path, pool=7, prepares=False)["OPTIONS"]
    assert options["prepare_threshold"] is None


def test_a_session_that_idles_in_a_transaction_is_ended_by_the_server(tmp_path: Path) -> None:
    options = factories.database("postgres://one@two/three", data_dir=tmp_path, pool=7, prepares=True)["OPTIONS"]
    assert "idle_in_transaction_session_timeout=10s" in options["options"]


async def test_a_redis_that_takes_connections_and_says_nothing_fails_its_callers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(factories, "REDIS_TIMEOUTS", dict.fromkeys(factories.REDIS_TIMEOUTS, 0.2))
    gone = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    config: dict[str, Any] = factories.channel_layers(url)["default"]["CONFIG"]
    layer = RedisPubSubChannelLayer(**config)
    try:
        async with asyncio.timeout(3):
            for ask in (layer.group_send("group", {"type": "event"}), layer.new_channel()):
                with pytest.raises(RedisTimeoutError):
                    await ask
    finally:
        gone.set()
        await layer.flush()
        server.close()


@pytest.mark.distributed
def test_after_a_restart_of_postgresql_no_query_meets_a_connection_from_before(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    """Without that, each of the pool's connections would fail a query first."""
    at_once = 4
    with run_server(PostgresServer) as server:
        databases = {
            "default": factories.database(f"{server.url}/postgres", data_dir=tmp_path, pool=at_once, prepares=True)
        }
        handler = ConnectionHandler(databases)
        all_connected = Barrier(at_once)

        def query(_: int) -> int:
            connection = handler["default"]
            try:
                with connection.cursor() as cursor:
                    all_connected.wait(30)
                    cursor.execute("SELECT pg_backend_pid()")
                    return int(cursor.fetchone()[0])
            finally:
                connection.close()

        with django_db_blocker.unblock(), ThreadPoolExecutor(at_once) as threads:
            before = set(threads.map(query, range(at_once)))
            server.crash()
            server.start()
            after = set(threads.map(query, range(at_once)))
        cast(DatabaseWrapper, handler["default"]).close_pool()
    assert len(before) == len(after) == at_once
    assert not before & after
