"""What the factories of the settings make of their URLs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from channels_redis.pubsub import RedisPubSubChannelLayer
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import TimeoutError as RedisTimeoutError

from orchestration_site import factories


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


@asynccontextmanager
async def hanging_server() -> AsyncIterator[str]:
    """The URL of a Redis that takes connections and says nothing."""
    gone = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        gone.set()
        server.close()


async def test_a_redis_that_takes_connections_and_says_nothing_fails_its_callers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(factories, "REDIS_TIMEOUTS", dict.fromkeys(factories.REDIS_TIMEOUTS, 0.2))
    async with hanging_server() as url:
        config: dict[str, Any] = factories.channel_layers(url)["default"]["CONFIG"]
        layer = RedisPubSubChannelLayer(**config)
        async with asyncio.timeout(3):
            for ask in (layer.group_send("group", {"type": "event"}), layer.new_channel()):
                with pytest.raises(RedisTimeoutError):
                    await ask
        await layer.flush()


async def test_a_broker_that_takes_connections_and_says_nothing_fails_who_publishes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(factories, "BROKER_TIMEOUTS", dict.fromkeys(factories.BROKER_TIMEOUTS, 0.2))
    async with hanging_server() as url:
        app = Celery(broker=url)
        app.conf.broker_transport_options = factories.broker_options(url)
        async with asyncio.timeout(10):
            with pytest.raises(BrokerError):
                await asyncio.to_thread(app.send_task, "any", retry=False, ignore_result=True)
