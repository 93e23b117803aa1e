"""Refuses a body that is too large, or too slow, while it streams in. Django would first spool all of it."""

import asyncio
from typing import Any

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    HTTPScope,
    Scope,
)

from rest.problems import PROBLEM_MEDIA_TYPE, ApiProblem, problem_bytes

#: How much of a refused body is still read, so that the caller can finish writing and see the answer.
LINGER_BYTES = 64 * 1024 * 1024
LINGER_SECONDS = 5.0


class _TooLarge(Exception):
    """The body has passed the limit."""


class BodyLimitMiddleware:
    """Reads the body, at most `max_bytes` of it in `max_seconds`, and hands it on whole with a true Content-Length.

    It counts what arrives and trusts no header, so it holds for chunked bodies as well. The 413 closes the connection,
    and so does the 408 of a body that does not end in time.
    """

    def __init__(self, app: ASGI3Application, *, max_bytes: int, max_seconds: float) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.max_seconds):
                body = await self._read(scope, receive)
        except _TooLarge:
            await self._refuse_size(receive, send)
            return
        except TimeoutError:
            await self._refuse_slowness(send)
            return
        if body is not None:
            await self.app(_with_length(scope, len(body)), _replay(body, receive), send)

    async def _read(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> bytes | None:
        """The whole body; None when the caller has gone away before its end."""
        if _declared_length(scope) > self.max_bytes:
            raise _TooLarge
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            size += len(message.get("body", b""))
            if size > self.max_bytes:
                raise _TooLarge
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def _refuse_size(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        problem = ApiProblem(
            413,
            "body-too-large",
            f"The body is larger than {self.max_bytes} bytes. Send less.",
            max_bytes=self.max_bytes,
        )
        await _answer(send, problem, is_last=False)
        # Closing at once would reset the connection under a caller that still writes, and it would never see the 413.
        await _read_away(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _refuse_slowness(self, send: ASGISendCallable) -> None:
        problem = ApiProblem(
            408,
            "body-too-slow",
            f"The body did not end within {self.max_seconds:g} seconds. Send the request again, without pauses.",
        )
        await _answer(send, problem, is_last=True)


async def _answer(send: ASGISendCallable, problem: ApiProblem, *, is_last: bool) -> None:
    body = problem_bytes(problem)
    headers = [
        (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": problem.status_code, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def _read_away(receive: ASGIReceiveCallable) -> None:
    size = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while size < LINGER_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                size += len(message.get("body", b""))
    except TimeoutError:
        return


def _declared_length(scope: HTTPScope) -> int:
    values = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else 0


def _with_length(scope: HTTPScope, length: int) -> HTTPScope:
    """Django and DRF take a body without Content-Length for no body at all."""
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if name.lower() not in (b"content-length", b"transfer-encoding")
    ]
    if length:
        headers.append((b"content-length", str(length).encode()))
    return {**scope, "headers": headers}


def _replay(body: bytes, receive: ASGIReceiveCallable) -> ASGIReceiveCallable:
    first: Any = {"type": "http.request", "body": body, "more_body": False}
    pending: list[ASGIReceiveEvent] = [first]

    async def receive_again() -> ASGIReceiveEvent:
        return pending.pop() if pending else await receive()

    return receive_again
