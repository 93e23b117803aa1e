"""The Celery worker and beat as threads of this process: what `make worker` and `make beat` are as processes."""

import logging
import threading
from typing import Any

from celery import Celery, beat, signals
from celery.worker import WorkController

from deployments.executions.worker import current_worker, give_back_executions

HOSTNAME = "worker@embedded"

#: How long after the drain's own grace a stop may take before the rest is abandoned.
STOP_SECONDS_BEYOND_DRAIN = 5.0

log = logging.getLogger(__name__)


class BackgroundServices:
    """One worker on Celery's threads pool, and one beat."""

    def __init__(self, app: Celery, *, drain_seconds: float) -> None:
        self._patience = drain_seconds + STOP_SECONDS_BEYOND_DRAIN
        self._worker = WorkController(
            app=app,
            hostname=HOSTNAME,
            pool="threads",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._consuming = threading.Thread(target=self._worker.start, name="celery-worker", daemon=True)
        self._beat: Any = beat.EmbeddedService(app, thread=True, scheduler_cls=app.conf.beat_scheduler)

    def start(self) -> None:
        current_worker()
        self._consuming.start()
        self._beat.start()

    def hurry(self) -> None:
        """End the grace of a stop that is under way. Returns at once."""
        give_back_executions()

    def stop(self) -> bool:
        """Let the running executions end, within the drain's grace. False when some did not and were left behind."""
        # A bare WorkController does not announce its end, as the worker's command does.
        signals.worker_shutting_down.send(sender=HOSTNAME, sig="SIGTERM", how="Warm", exitcode=0)
        stopping = [threading.Thread(target=stop, daemon=True) for stop in (self._worker.stop, self._beat.stop)]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join(self._patience)
        stopped = not any(thread.is_alive() for thread in stopping)
        if not stopped:
            log.warning("Some executions did not end in time; the next start takes them up again.")
        return stopped
