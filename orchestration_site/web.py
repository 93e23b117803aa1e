"""What answers a request: HTTP by Django, WebSockets by Channels, and what stands in front of both."""

from typing import cast

from asgiref.typing import ASGI3Application
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

from deployments.live.routing import websocket_urlpatterns
from orchestration_site.draining import DrainingMiddleware
from orchestration_site.health import HealthEndpoints, site_readiness
from orchestration_site.static_files import collect_static_files
from rest.body_limit import BodyLimitMiddleware
from rest.request_id import RequestIdMiddleware


def build_application() -> RequestIdMiddleware:
    """The site as one ASGI application. Django has to be set up."""
    collect_static_files(settings.STATIC_ROOT)  # before Django's handler, whose middleware looks once for what is there
    protocols = ProtocolTypeRouter(
        {
            "http": BodyLimitMiddleware(cast(ASGI3Application, ASGIHandler()), max_bytes=settings.MAX_BODY_BYTES),
            "websocket": URLRouter(websocket_urlpatterns),
        }
    )
    return RequestIdMiddleware(HealthEndpoints(DrainingMiddleware(protocols), site_readiness()))
