"""Where Celery looks for tasks, and what it tells the worker's executions of."""

import threading
from functools import partial
from typing import Any

from celery import current_app, signals
from django.conf import settings

from deployments.alerts.tasks import send_alerts
from deployments.executions.retirement import retirement
from deployments.executions.tasks import run_execution
from deployments.executions.worker import current_worker, drain_worker
from deployments.scheduling.tasks import fire_schedule

__all__ = ["fire_schedule", "run_execution", "send_alerts"]


@signals.worker_ready.connect
def start_executions(sender: Any, **_: Any) -> None:
    """Start the event loop and its sweeps with the process, not with its first task."""
    current_worker().on_rest.append(partial(_let_messages_be, sender))


def _let_messages_be(consumer: Any, rests: bool) -> None:  # noqa: FBT001 - what a worker tells of itself
    """A worker that rests leaves the queue to the others. It answers Celery's own remote control as ever."""
    queue = current_app.conf.task_default_queue
    consumer.call_soon(consumer.cancel_task_queue if rests else consumer.add_task_queue, queue)


@signals.worker_shutting_down.connect
def drain_executions(**_: Any) -> None:
    """Let the executions end, and give back what does not: Celery waits for its threads, and they wait for these."""
    retirement.note_stop()
    seconds = settings.ENVIRONMENT.drain_seconds
    threading.Thread(target=drain_worker, args=(seconds,), name="drain", daemon=True).start()
