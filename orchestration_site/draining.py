"""A process that is told to stop says so: new requests and sockets are refused while the running executions end."""

import threading

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from rest.problems import PROBLEM_MEDIA_TYPE, ApiProblem, problem_bytes
from rest.sockets import refuse_socket

RETRY_AFTER_SECONDS = 5

_draining = threading.Event()


def begin_draining() -> None:
    """From now on this process refuses new requests. There is no way back."""
    _draining.set()


def is_draining() -> bool:
    """Whether this process has been told to stop."""
    return _draining.is_set()


class DrainingMiddleware:
    """Answers 503 with `Retry-After` to every new request, and socket, of a process that is being stopped."""

    def __init__(self, app: ASGI3Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if not is_draining() or scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        problem = ApiProblem(
            503,
            "draining",
            "This server is being stopped. Send the request again soon.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
        if scope["type"] == "websocket":
            await refuse_socket(scope, send, problem, by_code=False)
            return
        body = problem_bytes(problem)
        headers = [
            (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(RETRY_AFTER_SECONDS).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": body, "more_body": False})
