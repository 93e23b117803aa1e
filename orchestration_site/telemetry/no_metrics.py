"""`GET /metrics` of a site whose operator lets nobody read it: what to set."""

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from orchestration_site.answers import send_problem
from rest.problems import ApiProblem


class NoMetrics:
    """ASGI in front of the site: says that `/metrics` is off, and hands on everything else."""

    def __init__(self, app: ASGI3Application, *, with_site: bool) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http" or scope["path"].rstrip("/") != "/metrics":
            await self.app(scope, receive, send)
        else:
            detail = "Metrics are off. The operator turns them on by METRICS_NETWORKS or METRICS_TOKEN."
            await send_problem(send, ApiProblem(404, "metrics-off", detail))
