"""The Celery app. `make worker` and `make beat` say how its processes are started."""

import logging
import os
from typing import Any

from celery import Celery, bootsteps, signals

from orchestration_site import inprocess_broker, redis_transport
from orchestration_site.collector import settle_collector

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestration_site.settings")
# Celery runs Django's checks in each worker, which imports every view and admin page: 15 MB and half a second that a
# worker which takes over from a lost one does not have. `make test` runs them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

log = logging.getLogger(__name__)

inprocess_broker.register()
redis_transport.register()

app = Celery("orchestration")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["deployments"])


class SmallWindow(bootsteps.StartStopStep):
    """A worker holds few messages that it has not begun with, however many executions it may run at once.

    The broker gives those to nobody else: behind a worker that is full or stands still they would wait until the
    dispatch sweep sends them again. A message is acknowledged as soon as a thread is free, so few are enough.
    """

    MESSAGES = 4

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        parent.initial_prefetch_count = min(parent.initial_prefetch_count, self.MESSAGES)
        super().__init__(parent, **kwargs)


app.steps["consumer"].add(SmallWindow)


@signals.setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """Having a receiver is the point: Celery then leaves the logging as Django's settings made it."""


@signals.worker_ready.connect
def announce_worker(**_: Any) -> None:
    """Said by a worker that is a process; the embedded one belongs to a site that says so itself."""
    log.info("The worker is ready.")


@signals.worker_ready.connect
@signals.beat_init.connect
def settle(**_: Any) -> None:
    """A worker and a beat have imported by then what they run on."""
    settle_collector()
