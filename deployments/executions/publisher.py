"""Tells the workers that an execution is queued or an alert is due: a hint, sent off the request's path and never
waited for.

The row is the outbox. A hint that is lost is made up for by the workers' sweeps, so a failed publish only means that
the broker is left alone for a while.
"""

import logging
import queue
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID

from celery import current_app

from deployments.telemetry import current_traceparent, publishing

log = logging.getLogger(__name__)

RUN_EXECUTION = "deployments.run_execution"
SEND_ALERTS = "deployments.send_alerts"
QUIET_SECONDS_AFTER_FAILURE = 5.0


_Hint = tuple[str, list[Any], AbstractContextManager[None]]


class Publisher:
    """One thread that publishes what is handed to it, in order."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[_Hint | threading.Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._quiet_until = 0.0

    def publish(self, execution_id: UUID, attempt: int, *, traceparent: str = "") -> None:
        """Hand over the hint `{id, attempt}` and return at once; on behalf of that trace, or of what is done here."""
        on_behalf = publishing(execution_id, traceparent or current_traceparent())
        self._hand_over(RUN_EXECUTION, [str(execution_id), attempt], on_behalf)

    def publish_alerts(self) -> None:
        """Hand over the hint that alerts are due, whichever these are, and return at once."""
        self._hand_over(SEND_ALERTS, [], nullcontext())

    def wait_until_sent(self, seconds: float) -> bool:
        """Wait for what was handed over so far, in a process that is about to end. False when that took too long."""
        reached = threading.Event()
        self._start()
        self._queue.put(reached)
        return reached.wait(seconds)

    def _hand_over(self, task: str, arguments: list[Any], on_behalf: AbstractContextManager[None]) -> None:
        self._start()
        self._queue.put((task, arguments, on_behalf))

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            handed_over = self._queue.get()
            if isinstance(handed_over, threading.Event):
                handed_over.set()
                continue
            task, arguments, on_behalf = handed_over
            if time.monotonic() >= self._quiet_until:
                self._send(task, arguments, on_behalf)

    def _send(self, task: str, arguments: list[Any], on_behalf: AbstractContextManager[None]) -> None:
        try:
            with on_behalf:
                current_app.send_task(task, args=arguments, retry=False, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises: it is away
            self._quiet_until = time.monotonic() + QUIET_SECONDS_AFTER_FAILURE
            log.warning("The broker cannot be reached; executions and alerts wait for the sweeps: %s", error)


publisher = Publisher()
