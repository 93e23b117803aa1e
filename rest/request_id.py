"""One id for each request: in the answer's `X-Request-ID`, in every problem, and in the log."""

import logging
import re
import uuid
from contextvars import ContextVar
from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

HEADER = b"x-request-id"

_current: ContextVar[str | None] = ContextVar("request_id", default=None)
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def current_request_id() -> str | None:
    """The id of the request that is being answered here; None outside of one."""
    return _current.get()


class RequestIdMiddleware:
    """Takes the caller's `X-Request-ID` when it is 1 to 128 letters, digits or `. _ : -`, else makes one."""

    def __init__(self, app: ASGI3Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request_id = _given_id(scope) or uuid.uuid4().hex

        async def send_with_id(message: ASGISendEvent) -> None:
            if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
                headers = list(message.get("headers") or ())
                message = {**message, "headers": [*headers, (HEADER, request_id.encode())]}  # type: ignore[assignment] # of the same kind as before
            await send(message)

        token = _current.set(request_id)
        try:
            await self.app({**scope, "request_id": request_id}, receive, send_with_id)  # type: ignore[arg-type] # a key of our own
        finally:
            _current.reset(token)


class RequestIdFilter(logging.Filter):
    """Gives every log record a `request_id`, `-` outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id() or "-"
        return True


def _given_id(scope: Any) -> str | None:
    given = [value for name, value in scope["headers"] if name.lower() == HEADER]
    return given[0].decode() if len(given) == 1 and _SANE.fullmatch(given[0]) else None
