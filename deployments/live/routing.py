"""The addresses under `/ws/`."""

from django.urls import re_path

from deployments.live.consumers import DeploymentsSocket, ExecutionSocket, NoSocket
from rest.routers import UUID_PATTERN

websocket_urlpatterns = [
    re_path(rf"^ws/executions/(?P<execution_id>{UUID_PATTERN})/?$", ExecutionSocket.as_asgi()),
    re_path(r"^ws/deployments/?$", DeploymentsSocket.as_asgi()),
    re_path(r"", NoSocket.as_asgi()),
]
