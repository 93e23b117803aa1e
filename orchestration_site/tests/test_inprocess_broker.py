"""The broker of the embedded system: nothing lost or repeated over threads, and woken rather than polled."""

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Queue
from kombu.common import Broadcast

from orchestration_site import inprocess_broker

MESSAGES = 1_000
PUBLISHERS = 10


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    inprocess_broker.register()
    # A consumer that is not woken would look again by itself after a while: not within a test's patience.
    monkeypatch.setattr(inprocess_broker, "LONGEST_WAIT", 600)


def make_queue(name: str) -> Queue:
    return Queue(name, Exchange(f"{name}.exchange", type="direct"), routing_key=name)


def drain_until(connection: Any, enough: Callable[[], bool]) -> None:
    while not enough():
        connection.drain_events(timeout=20)


def run_together(*targets: Callable[[], None]) -> None:
    """Each on a thread; raises what one of them raises, and `TimeoutError` when one does not end."""
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run(target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            ended.put(error)
        else:
            ended.put(None)

    for target in targets:
        threading.Thread(target=run, args=[target], daemon=True).start()
    for _ in targets:
        try:
            error = ended.get(timeout=30)
        except queue.Empty:
            raise TimeoutError("a thread waits for what nobody sends") from None
        if error is not None:
            raise error


def test_each_of_a_thousand_messages_of_ten_threads_arrives_once() -> None:
    jobs = make_queue("thousand")
    received: list[int] = []

    def publish(first: int) -> None:
        with Connection("inprocess://") as connection:
            producer = connection.Producer()
            for number in range(first, first + MESSAGES // PUBLISHERS):
                producer.publish(
                    number, exchange=jobs.exchange, routing_key=jobs.routing_key, declare=[jobs], serializer="json"
                )

    def consume() -> None:
        def keep(body: int, message: Any) -> None:
            received.append(body)
            message.ack()

        with Connection("inprocess://") as connection, Consumer(connection, [jobs], callbacks=[keep]):
            drain_until(connection, lambda: len(received) >= MESSAGES)

    publishers = [lambda first=n * 100: publish(first) for n in range(PUBLISHERS)]
    run_together(consume, *publishers)

    assert sorted(received) == list(range(MESSAGES))


def test_two_consumers_share_a_queue_and_neither_sees_the_others_messages() -> None:
    jobs = make_queue("shared")
    received: list[int] = []
    counted = threading.Lock()

    def consume() -> None:
        def keep(body: int, message: Any) -> None:
            with counted:
                received.append(body)
            message.ack()

        with Connection("inprocess://") as connection, Consumer(connection, [jobs], callbacks=[keep]):
            while len(received) < 200:
                try:
                    connection.drain_events(timeout=0.05)
                except TimeoutError:
                    continue

    def publish() -> None:
        with Connection("inprocess://") as connection:
            producer = connection.Producer()
            for number in range(200):
                producer.publish(number, exchange=jobs.exchange, routing_key="shared", declare=[jobs])

    run_together(consume, consume, publish)

    assert sorted(received) == list(range(200))


def test_a_waiting_consumer_is_woken_by_the_message_itself() -> None:
    """Ping-pong; the bound of `run_together` only keeps a failure short."""
    there, back = make_queue("there"), make_queue("back")
    rounds = 200

    def play(listen: Queue, answer: Queue, *, serve: bool) -> None:
        done: list[int] = []
        with Connection("inprocess://") as connection:
            producer = connection.Producer()

            def reply(body: int, message: Any) -> None:
                message.ack()
                done.append(body)
                producer.publish(body + 1, exchange=answer.exchange, routing_key=answer.routing_key, declare=[answer])

            with Consumer(connection, [listen], callbacks=[reply]):
                if serve:
                    producer.publish(0, exchange=answer.exchange, routing_key=answer.routing_key, declare=[answer])
                drain_until(connection, lambda: len(done) >= rounds)

    run_together(lambda: play(there, back, serve=False), lambda: play(back, there, serve=True))


def test_an_ack_frees_a_slot_of_the_prefetch_count_and_wakes_the_consumer() -> None:
    jobs = make_queue("prefetch")
    unacknowledged: list[Any] = []
    bodies: list[int] = []
    with Connection("inprocess://") as connection:
        producer = connection.Producer()
        for number in range(2):
            producer.publish(number, exchange=jobs.exchange, routing_key="prefetch", declare=[jobs])

        def hold(body: int, message: Any) -> None:
            bodies.append(body)
            unacknowledged.append(message)

        with Consumer(connection, [jobs], callbacks=[hold], prefetch_count=1):
            connection.drain_events(timeout=5)
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.05)
            assert bodies == [0]

            woken = threading.Event()

            def wait_for_the_second() -> None:
                connection.drain_events(timeout=300)
                woken.set()

            threading.Thread(target=wait_for_the_second, daemon=True).start()
            unacknowledged[0].ack()

            assert woken.wait(10)
            assert bodies == [0, 1]


class SlowToMiss(dict[str, Any]):
    """The table of exchanges; the first who finds none stops right after looking, until the other has bound."""

    def __init__(self, known: dict[str, Any]) -> None:
        super().__init__(known)
        self.missed = threading.Event()
        self.bound = threading.Event()

    def __getitem__(self, name: str) -> Any:
        try:
            return super().__getitem__(name)
        except KeyError:
            if not self.missed.is_set():
                self.missed.set()
                self.bound.wait(0.5)
            raise


def test_who_declares_an_exchange_late_does_not_wipe_out_a_binding_made_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = inprocess_broker.EXCHANGE.state.exchanges
    assert known is not None
    table = SlowToMiss(known)
    monkeypatch.setattr(inprocess_broker.EXCHANGE.state, "exchanges", table)
    exchange = Exchange("declared-by-two", type="direct")

    def declare(name: str) -> None:
        with Connection("inprocess://") as connection:
            Queue(name, exchange, routing_key=name).bind(connection.default_channel).declare()

    def declare_second() -> None:
        assert table.missed.wait(20)
        declare("second")
        table.bound.set()

    run_together(lambda: declare("first"), declare_second)

    assert sorted(name for _, _, name in table["declared-by-two"]["table"]) == ["first", "second"]


def test_a_message_that_comes_between_looking_and_waiting_is_not_slept_through() -> None:
    def look_too_early_then_wait() -> None:
        seen = inprocess_broker.EXCHANGE.changes
        inprocess_broker.EXCHANGE.notify()
        inprocess_broker.EXCHANGE.wait(seen, 300)

    run_together(look_too_early_then_wait)


def test_a_broadcast_reaches_every_consumer() -> None:
    """Celery's remote control (`inspect`, `control`) is made of broadcasts."""
    received: list[str] = []
    with Connection("inprocess://") as connection:
        consumers = []
        for name in ("first", "second"):
            copies = Broadcast(name="everyone", unique=True)

            def keep(body: str, message: Any, name: str = name) -> None:
                received.append(f"{name}: {body}")

            consumers.append(Consumer(connection.channel(), [copies], callbacks=[keep], no_ack=True))
        for consumer in consumers:
            consumer.consume()
        connection.Producer().publish("hello", exchange=Exchange("everyone", type="fanout"), routing_key="")
        drain_until(connection, lambda: len(received) == 2)

    assert sorted(received) == ["first: hello", "second: hello"]
