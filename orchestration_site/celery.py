"""The Celery app. `make worker` and `make beat` say how its processes are started."""

import os
from typing import Any

from celery import Celery, signals

from orchestration_site import inprocess_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestration_site.settings")

inprocess_broker.register()

app = Celery("orchestration")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["deployments"])


@signals.setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """Having a receiver is the point: Celery then leaves the logging as Django's settings made it."""
