"""Celery's broker inside one process: kombu's virtual transport, woken by a put or an ack instead of polling.

`inprocess://` names it. All connections of the process share the queues, so that any thread may publish and any may
consume. Nothing survives the process: the execution's row is the truth, and a message only a hint.
"""

import threading
from collections import deque
from queue import Empty
from time import monotonic
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.scheduling import FairCycle

Payload = dict[str, Any]

#: A waiting consumer looks again after so many seconds even if nobody woke it, so that it sees a stop.
LONGEST_WAIT = 1.0


class Exchange:
    """The queues of the process, and who waits for them."""

    def __init__(self) -> None:
        self.state = virtual.BrokerState()
        self.declaring = threading.RLock()
        self._queues: dict[str, deque[Payload]] = {}
        self._changed = threading.Condition()
        self._changes = 0

    @property
    def changes(self) -> int:
        """Grows with every put and every freed slot. Read it before looking, and give it to `wait` after."""
        return self._changes

    def wait(self, since: int, seconds: float) -> None:
        """Until something changed after `since`, or the time is over."""
        with self._changed:
            if self._changes == since:
                self._changed.wait(seconds)

    def notify(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def declare(self, queue: str) -> None:
        self._queues.setdefault(queue, deque())

    def has(self, queue: str) -> bool:
        return queue in self._queues

    def put(self, queue: str, message: Payload) -> None:
        # `setdefault` is one step under the interpreter's lock, and a deque may be used from both ends by any threads.
        self._queues.setdefault(queue, deque()).append(message)
        self.notify()

    def take(self, queue: str) -> Payload:
        """The oldest message. Raises `Empty`."""
        try:
            return self._queues[queue].popleft()
        except (KeyError, IndexError):
            raise Empty from None

    def size(self, queue: str) -> int:
        return len(self._queues.get(queue, ()))

    def drop(self, queue: str) -> None:
        self._queues.pop(queue, None)

    def purge(self, queue: str) -> int:
        waiting = self._queues.get(queue, deque())
        count = len(waiting)
        waiting.clear()
        return count


EXCHANGE = Exchange()


class Channel(virtual.Channel):
    """One channel of a connection. Several threads may acknowledge on it, one consumes."""

    supports_fanout = True
    do_restore = False  # what a stopped consumer had not acknowledged is found by the sweep of queued rows

    def exchange_declare(self, *args: Any, **kwargs: Any) -> None:
        # kombu looks, then sets: of two that declare at once, the second would wipe out the bindings of the first.
        with EXCHANGE.declaring:
            super().exchange_declare(*args, **kwargs)

    def queue_bind(self, *args: Any, **kwargs: Any) -> None:
        with EXCHANGE.declaring:
            super().queue_bind(*args, **kwargs)

    def queue_unbind(self, *args: Any, **kwargs: Any) -> None:
        with EXCHANGE.declaring:
            super().queue_unbind(*args, **kwargs)

    def queue_delete(self, *args: Any, **kwargs: Any) -> None:
        with EXCHANGE.declaring:
            super().queue_delete(*args, **kwargs)

    def basic_ack(self, *args: Any, **kwargs: Any) -> None:
        super().basic_ack(*args, **kwargs)
        EXCHANGE.notify()  # a slot of the prefetch count is free

    def basic_reject(self, *args: Any, **kwargs: Any) -> None:
        super().basic_reject(*args, **kwargs)
        EXCHANGE.notify()

    def basic_qos(self, *args: Any, **kwargs: Any) -> None:
        super().basic_qos(*args, **kwargs)
        EXCHANGE.notify()

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        EXCHANGE.declare(queue)

    def _queue_bind(self, *args: Any) -> None:
        """The routing table of the exchange is all there is to a binding."""

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        return EXCHANGE.has(queue)

    def _put(self, queue: str, message: Payload, **kwargs: Any) -> None:
        EXCHANGE.put(queue, message)

    def _put_fanout(self, exchange: str, message: Payload, routing_key: str, **kwargs: Any) -> None:
        for queue in self._lookup(exchange, routing_key):
            EXCHANGE.put(queue, message)

    def _get(self, queue: str, timeout: float | None = None) -> Payload:
        return EXCHANGE.take(queue)

    def _size(self, queue: str) -> int:
        return EXCHANGE.size(queue)

    def _purge(self, queue: str) -> int:
        return EXCHANGE.purge(queue)

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        EXCHANGE.drop(queue)


class Transport(virtual.Transport):
    """The transport that `inprocess://` names."""

    Channel = Channel
    cycle: FairCycle
    driver_type = "inprocess"
    driver_name = "inprocess"

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = EXCHANGE.state
        self.closed = False

    @property
    def default_connection_params(self) -> dict[str, Any]:
        return {}  # no host, and no warning that none is given

    def close_connection(self, connection: Any) -> None:
        super().close_connection(connection)
        self.closed = True
        EXCHANGE.notify()  # whoever waits on it may stop waiting

    def driver_version(self) -> str:
        return "1"

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Deliver one message. Raises `TimeoutError` when none has come within `timeout` seconds."""
        end = None if timeout is None else monotonic() + timeout
        while True:
            if self.closed:
                raise ConnectionError("This connection was closed while it waited for a message.")
            seen = EXCHANGE.changes
            try:
                self.cycle.get(self._deliver, timeout=timeout)
            except Empty:
                pass
            else:
                return
            left = LONGEST_WAIT if end is None else end - monotonic()
            if left <= 0:
                raise TimeoutError
            EXCHANGE.wait(seen, min(left, LONGEST_WAIT))


def register() -> None:
    """Make `inprocess://` known to kombu."""
    TRANSPORT_ALIASES["inprocess"] = f"{__name__}:Transport"
