"""Who looks on at requests, too: at what the web server answers, and at the streams that it keeps open."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, cast

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

from deployments.telemetry import Observer, ask

EVENT_STREAM = b"text/event-stream"


class RequestFollower(Protocol):
    """Is told of one request, or of one socket, on its own task; returns at once."""

    def answer(self, status: int, *, streams: bool) -> None:
        """The answer has begun; with `streams` it is one of events, which lasts."""

    def end(self, error: BaseException | None) -> None:
        """It is over; the error is one that nobody expected."""


class SiteObserver(Observer):
    """An observer that is told of requests."""

    def follow_request(self, scope: Any) -> RequestFollower | None:
        """Somebody who wants to know how this request goes; the scope is ASGI's."""
        return None


class ObservedRequests:
    """ASGI middleware: tells the observers of each request and socket."""

    def __init__(self, app: ASGI3Application, observers: Sequence[SiteObserver]) -> None:
        self.app = app
        self._observers = observers

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        followers = [
            found for each in self._observers if (found := ask(partial(each.follow_request, scope))) is not None
        ]

        async def send_noted(message: ASGISendEvent) -> None:
            for follower in followers:
                ask(partial(_note_answer, follower, cast(Any, message)))
            await send(message)

        error: BaseException | None = None
        try:
            await self.app(scope, receive, send_noted)
        except Exception as raised:
            error = raised
            raise
        finally:
            # The last that began ends first: each puts back the context that it found.
            for follower in reversed(followers):
                ask(partial(follower.end, error))


def observe_requests(app: ASGI3Application, observers: Sequence[Observer]) -> ASGI3Application:
    """The application, with those told of its requests who want to be; as it is where nobody does."""
    interested = [each for each in observers if isinstance(each, SiteObserver)]
    return cast(ASGI3Application, ObservedRequests(app, interested)) if interested else app


def _note_answer(follower: RequestFollower, message: Any) -> None:
    if message["type"] == "websocket.accept":
        follower.answer(101, streams=True)
    elif message["type"] in ("http.response.start", "websocket.http.response.start"):
        headers = dict(message.get("headers") or ())
        follower.answer(message["status"], streams=headers.get(b"content-type", b"").startswith(EVENT_STREAM))
