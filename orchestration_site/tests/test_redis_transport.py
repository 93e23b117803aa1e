"""What `redis://` names: kombu's transport, whose commands share one client a channel."""

import threading
from typing import Any

import pytest
from kombu import Connection, Consumer, Queue

from orchestration_site import redis_transport
from orchestration_site.celery import app

pytestmark = pytest.mark.distributed


def test_celery_uses_it_for_redis(redis_url: str) -> None:
    with app.connection_for_write(redis_url) as connection:
        assert isinstance(connection.transport, redis_transport.Transport)
        assert isinstance(connection.default_channel, redis_transport.Channel)


def test_messages_are_kept_until_they_are_acknowledged_over_any_number_of_threads(redis_url: str) -> None:
    jobs = Queue("jobs")
    with Connection(redis_url) as connection:
        producer = connection.Producer()
        for number in range(100):
            producer.publish({"number": number}, routing_key="jobs", declare=[jobs])
        taken: list[int] = []
        acknowledging: list[threading.Thread] = []

        def take(body: dict[str, int], message: object) -> None:
            taken.append(body["number"])
            acknowledging.append(threading.Thread(target=message.ack))  # type: ignore[attr-defined] # kombu's Message
            acknowledging[-1].start()

        with Consumer(connection, [jobs], callbacks=[take], prefetch_count=0):
            while len(taken) < 100:
                connection.drain_events(timeout=20)
        for thread in acknowledging:
            thread.join()
        assert sorted(taken) == list(range(100))
        channel: Any = connection.default_channel
        assert channel.client.hlen("unacked") == 0


def test_its_commands_share_a_client_until_the_channel_is_disconnected(redis_url: str) -> None:
    with Connection(redis_url) as connection:
        channel: Any = connection.default_channel
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
        assert channel.client is not first, "the one that waits for messages is the event loop's alone"
        channel._disconnect_pools()
        with channel.conn_or_acquire() as third:
            assert third is not first
            assert third.ping()
