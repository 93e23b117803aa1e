"""HTTP as uvicorn speaks it, but that a request's head is bounded: in its size, and in the time that it may take.

uvicorn closes connections that are idle between two requests. One that says nothing at first, or sends its head a byte
at a time, would be kept for ever. And every header that comes would be kept: those of the next request while this one
is answered, and those behind a chunked body.
"""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rest.problems import PROBLEM_MEDIA_TYPE, ApiProblem, problem_bytes


class BoundedHeadProtocol(HttpToolsProtocol):
    """One connection. Bodies are bounded by `BodyLimitMiddleware`."""

    head_seconds: ClassVar[float] = 20.0
    #: Of whatever is neither a body nor the end of a head.
    head_bytes: ClassVar[int] = 64 * 1024

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._received = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._patience = self.loop.call_later(self.head_seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_head and (self.cycle is None or self.cycle.response_complete):
            self._in_head, self._received = True, 0
        self._received += len(data)
        super().data_received(data)
        if self._received > self.head_bytes:
            self._refuse_size()
        elif not self._in_head:
            self._forget()
        elif self._patience is None:
            self._patience = self.loop.call_later(self.head_seconds, self._give_up)

    def on_headers_complete(self) -> None:
        """Called by the parser, from within `data_received`."""
        self._in_head, self._received = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """The same."""
        self._received = 0
        super().on_body(body)

    def _forget(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self._in_head:
            self._refuse(
                ApiProblem(408, "head-too-slow", f"The head did not end within {self.head_seconds:g} seconds.")
            )
        else:
            self.transport.close()

    def _refuse_size(self) -> None:
        if self._in_head:
            self._refuse(ApiProblem(431, "head-too-large", f"The request's head is over {self.head_bytes} bytes."))
        else:
            # In the middle of another answer, or of a body that does not go on: there is no place for a sentence.
            self.transport.abort()

    def _refuse(self, problem: ApiProblem) -> None:
        self._forget()
        if self.transport.is_closing():  # what came was no HTTP, and was answered
            return
        body, reason = problem_bytes(problem), HTTPStatus(problem.status_code).phrase
        head = (
            f"HTTP/1.1 {problem.status_code} {reason}\r\ncontent-type: {PROBLEM_MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
