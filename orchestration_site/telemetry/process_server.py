"""`/livez`, `/readyz` and `/metrics` of a worker or a beat, on METRICS_PORT. Celery imports this where that is set.

On a thread with a loop of its own: it answers while every execution is at work, and nothing waits for it.
"""

import asyncio
import logging
import threading
from typing import Any, cast

import uvicorn
from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from celery import signals
from django.conf import settings
from django.utils.module_loading import import_string

from orchestration_site.answers import send_problem
from orchestration_site.draining import begin_draining
from orchestration_site.health import HealthEndpoints, site_readiness
from orchestration_site.listening import CannotListen, bind_listener
from rest.problems import ApiProblem
from rest.request_id import RequestIdMiddleware

log = logging.getLogger(__name__)


async def answer_nothing_else(scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Of a process that serves no site."""
    if scope["type"] == "http":
        await send_problem(send, ApiProblem(404, "not-found", "Here are /livez, /readyz and /metrics."))


@signals.worker_ready.connect
@signals.beat_init.connect
def start_server(**_: Any) -> None:
    """Answer from now on. Where the port is taken that is said, and the process works without."""
    environment = settings.ENVIRONMENT
    try:
        listener = bind_listener(environment.host, environment.metrics_port)
    except CannotListen:
        log.error(  # noqa: TRY400 - the trace says no more
            "METRICS_PORT=%d cannot be listened on at %s, so that this process answers no probes. Give every worker and"
            " every beat of a machine a port of its own.",
            environment.metrics_port,
            environment.host,
        )
        return
    serve_metrics = import_string(settings.METRICS_ENDPOINT)
    metrics = serve_metrics(cast(ASGI3Application, answer_nothing_else), with_site=False)
    health = HealthEndpoints(metrics, site_readiness())
    config = uvicorn.Config(
        cast(Any, RequestIdMiddleware(health)),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        loop="asyncio",
    )
    serving = uvicorn.Server(config).serve(sockets=[listener])
    threading.Thread(target=asyncio.run, args=(serving,), name="probes", daemon=True).start()


@signals.worker_shutting_down.connect
def stop_being_ready(**_: Any) -> None:
    """From now on `/readyz` says so."""
    begin_draining()
