"""`GET /metrics`, for whom the operator lets read it: it is about all teams, so nobody does by default."""

import asyncio
import hmac
import ipaddress
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from django.conf import settings
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from orchestration_site.answers import send_answer, send_problem
from orchestration_site.telemetry.metrics import metrics
from orchestration_site.telemetry.site_metrics import SiteCollector
from rest.problems import ApiProblem

#: A scrape that takes longer is given up: the database hangs.
PATIENCE_SECONDS: Final = 8.0


class MetricsEndpoint:
    """ASGI in front of the site: answers `/metrics` and hands on everything else.

    Those who read it come from one of the `networks` and show the `token`, as far as the operator has set them.
    """

    def __init__(
        self, app: ASGI3Application, registry: CollectorRegistry, *, networks: Sequence[str], token: str | None
    ) -> None:
        self.app = app
        self._registry = registry
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._token = None if token is None else token.encode()
        # One thread: of many who ask at once the first reads, and the others get what it has read.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http" or scope["path"].rstrip("/") != "/metrics":
            await self.app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await send_problem(send, ApiProblem(405, "method-not-allowed", "Use GET.", headers={"Allow": "GET, HEAD"}))
        elif (refusal := self._refusal_of(scope)) is not None:
            await send_problem(send, refusal)
        else:
            await self._answer(scope, send)

    def _refusal_of(self, scope: Any) -> ApiProblem | None:
        if self._networks and not self._comes_from_inside(scope.get("client")):
            return ApiProblem(403, "forbidden", "Metrics are for the networks in METRICS_NETWORKS.")
        if self._token is not None and not hmac.compare_digest(self._token, _bearer_of(scope)):
            detail = "Send the token of METRICS_TOKEN as Authorization: Bearer."
            return ApiProblem(401, "not-authenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
        return None

    def _comes_from_inside(self, client: tuple[str, int] | None) -> bool:
        try:
            address = ipaddress.ip_address(client[0]) if client else None
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address is not None and any(address in network for network in self._networks)

    async def _answer(self, scope: Any, send: ASGISendCallable) -> None:
        encode, content_type = _encoder_for(_header_of(scope, b"accept").decode("latin-1"))
        reading = self._thread.submit(encode, self._registry)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                body = await asyncio.wrap_future(reading)
        except TimeoutError:
            await send_problem(send, ApiProblem(503, "unavailable", "The figures could not be read in time."))
        else:
            await send_answer(send, 200, body, content_type)


def metrics_endpoint(app: ASGI3Application, *, with_site: bool) -> MetricsEndpoint:
    """The endpoint as the operator wants it: what this process has counted, and the site's figures if asked for."""
    environment, registry = settings.ENVIRONMENT, CollectorRegistry()
    registry.register(metrics().registry)
    if with_site:
        registry.register(SiteCollector())
    token = environment.metrics_token
    secret = None if token is None else token.get_secret_value()
    return MetricsEndpoint(app, registry, networks=environment.metrics_networks, token=secret)


def _bearer_of(scope: Any) -> bytes:
    scheme, _, token = _header_of(scope, b"authorization").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _header_of(scope: Any, wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name.lower() == wanted), b"")


def _encoder_for(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """The form that is asked for; the usual one for what is no form."""
    try:
        return choose_encoder(accept)
    except (ValueError, TypeError):  # of a version that is none
        return choose_encoder("")
