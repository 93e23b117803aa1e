"""Where what is done here comes from: an address, a way in, a request, a caller. For the audit alone."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from access.principal import Principal

#: `command` is a management command that somebody typed; `process` is what nobody asked for just now: a worker, a beat.
Way = Literal["api", "page", "admin", "socket", "command", "process"]


@dataclass(frozen=True)
class Origin:
    """Where a request comes from. `address` is the client's, as far as a trusted proxy tells it."""

    way: Way
    address: str | None = None
    request_id: str = ""


PROCESS = Origin("process")
COMMAND = Origin("command")

_origin: ContextVar[Origin] = ContextVar("origin", default=PROCESS)
_caller: ContextVar[Principal | None] = ContextVar("caller", default=None)


def current_origin() -> Origin:
    """Where the request comes from that is being answered here; `PROCESS` outside of one."""
    return _origin.get()


@contextmanager
def acting_as_command() -> Iterator[None]:
    """What is done meanwhile, a management command does for who typed it."""
    token = _origin.set(COMMAND)
    try:
        yield
    finally:
        _origin.reset(token)


def note_caller(principal: Principal) -> None:
    """Said by whoever lets a request through: who it is that asks, until the request's end."""
    _caller.set(principal)


def current_caller() -> Principal | None:
    """Who was let through with the request that is being answered here; None outside of one."""
    return _caller.get()


class OriginMiddleware:
    """Notes the origin of each request and socket. What it wraps sees the address that a trusted proxy named."""

    def __init__(self, app: ASGI3Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        # Its own context: a connection that is kept alive carries several requests.
        token = _origin.set(_origin_of(scope))
        caller = _caller.set(None)
        try:
            await self.app(scope, receive, send)
        finally:
            _caller.reset(caller)
            _origin.reset(token)


def _origin_of(scope: Any) -> Origin:
    if scope["type"] not in ("http", "websocket"):
        return PROCESS
    return Origin(_way_of(scope), _address_of(scope), scope.get("request_id", ""))


def _address_of(scope: Any) -> str | None:
    """None for a socket file, and for whatever a proxy says that is no address: the database would not take it."""
    client = scope.get("client")
    try:
        return str(ipaddress.ip_address(client[0])) if client else None
    except ValueError:
        return None


def _way_of(scope: Any) -> Way:
    if scope["type"] == "websocket":
        return "socket"
    first = scope["path"].lstrip("/").partition("/")[0]
    return {"api": "api", "admin": "admin"}.get(first, "page")  # type: ignore[return-value] # mypy widens the literals
