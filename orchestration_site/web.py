"""What answers a request: HTTP by Django, WebSockets by Channels, and what stands in front of both."""

from typing import Any, cast

from asgiref.typing import ASGI3Application
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.utils.module_loading import import_string
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from access.origin import OriginMiddleware
from deployments.live.routing import websocket_urlpatterns
from deployments.telemetry import observers
from orchestration_site.data_folder import stop_unless_written
from orchestration_site.draining import DrainingMiddleware
from orchestration_site.health import HealthEndpoints, site_readiness
from orchestration_site.request_threads import RequestThreads
from orchestration_site.static_files import collect_static_files
from orchestration_site.telemetry.observing import observe_requests
from rest.body_limit import BodyLimitMiddleware
from rest.request_id import RequestIdMiddleware


def build_application() -> ASGI3Application:
    """The site as one ASGI application. Django has to be set up.

    What a proxy says of its client is believed here, by the operator's setting. The server before it believes nothing:
    uvicorn would believe whatever comes from this machine. So Django's own settings for
    proxies (SECURE_PROXY_SSL_HEADER) stay as they are.
    """
    with stop_unless_written(settings.DATA_DIR):
        collect_static_files(settings.STATIC_ROOT)  # before Django's handler, whose middleware looks once what is there
    protocols = ProtocolTypeRouter(
        {
            "http": BodyLimitMiddleware(
                RequestThreads(cast(ASGI3Application, ASGIHandler())),
                max_bytes=settings.MAX_BODY_BYTES,
                max_seconds=settings.MAX_BODY_SECONDS,
            ),
            "websocket": URLRouter(websocket_urlpatterns),
        }
    )
    observed = observe_requests(cast(ASGI3Application, DrainingMiddleware(OriginMiddleware(protocols))), observers())
    metrics = import_string(settings.METRICS_ENDPOINT)(observed, with_site=True)
    site = RequestIdMiddleware(HealthEndpoints(metrics, site_readiness()))
    proxied = ProxyHeadersMiddleware(cast(Any, site), trusted_hosts=settings.ENVIRONMENT.trusted_proxies)
    return cast(ASGI3Application, proxied)  # uvicorn has types of its own for the same interface
