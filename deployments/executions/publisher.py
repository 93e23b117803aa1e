"""Tells the workers that an execution is queued: a hint, sent off the request's path and never waited for.

The queued row is the outbox. A hint that is lost is made up for by the dispatch sweep, so a failed publish only means
that the broker is left alone for a while.
"""

import logging
import queue
import threading
import time
from uuid import UUID

from celery import current_app

from deployments.telemetry import current_traceparent, publishing

log = logging.getLogger(__name__)

RUN_EXECUTION = "deployments.run_execution"
QUIET_SECONDS_AFTER_FAILURE = 5.0


class Publisher:
    """One thread that publishes what is handed to it, in order."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[UUID, int, str]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._quiet_until = 0.0

    def publish(self, execution_id: UUID, attempt: int) -> None:
        """Hand over the hint `{id, attempt}` and return at once."""
        self._start()
        self._queue.put((execution_id, attempt, current_traceparent()))

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            execution_id, attempt, traceparent = self._queue.get()
            if time.monotonic() >= self._quiet_until:
                self._send(execution_id, attempt, traceparent)

    def _send(self, execution_id: UUID, attempt: int, traceparent: str) -> None:
        try:
            with publishing(execution_id, traceparent):
                current_app.send_task(RUN_EXECUTION, args=[str(execution_id), attempt], retry=False, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises: it is away
            self._quiet_until = time.monotonic() + QUIET_SECONDS_AFTER_FAILURE
            log.warning("The broker cannot be reached; executions wait for the dispatch sweep: %s", error)


publisher = Publisher()
