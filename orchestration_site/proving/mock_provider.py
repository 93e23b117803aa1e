"""A server that speaks OpenAI's Chat Completions over real HTTP and misbehaves as it is told.

On an event loop: `async with MockProvider(script=...) as server: server.base_url`. Beside blocking code:
`with serve_in_thread(...) as server`. From a shell: `python -m orchestration_site.proving.mock_provider --latency 0.2`,
which prints its URL. Its own cost is part of what the bench measures, so it stands on a bare `asyncio.Protocol`.
"""

import argparse
import asyncio
import inspect
import json
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self, cast

from orchestration_site.proving.mock_replies import (
    ChatRequest,
    InOrder,
    Reply,
    Script,
    completion_body,
    completion_events,
    error_body,
    scripted_by_words,
)

__all__ = ["ChatRequest", "Counters", "InOrder", "MockProvider", "Reply", "Script", "serve_in_thread"]

HEAD_END = b"\r\n\r\n"
KEPT_REQUESTS = 10_000
GARBAGE = b"<html>\x00\xff this is neither JSON nor an event stream"


@dataclass
class Counters:
    """What has happened so far. `disconnects` counts clients that left before their answer was complete."""

    requests: int = 0
    in_flight: int = 0
    in_flight_peak: int = 0
    disconnects: int = 0
    connections: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_model: Counter[str] = field(default_factory=Counter)


class MockProvider:
    """The server. `script` may answer a request itself (a `Reply`, or a text); where it gives None, words do.

    `script` may be a coroutine function. Every chat request is kept in `requests`, the latest 10,000.
    """

    def __init__(
        self, script: Script | None = None, *, latency: float = 0.0, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self.script = script
        self.base_reply = Reply(latency=latency)
        self.counters = Counters()
        self.requests: deque[ChatRequest] = deque(maxlen=KEPT_REQUESTS)
        self.host, self.port = host, port
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._changed: asyncio.Event | None = None

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}/v1"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._server = await loop.create_server(lambda: _Connection(self), self.host, self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await self._server.wait_closed()

    async def until(self, reached: Callable[[Counters], bool], *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - a test's bound
        """Wait until the counters satisfy `reached`. Raises `TimeoutError`. On the server's own loop only."""
        if self._changed is None:
            raise RuntimeError("The mock provider does not serve yet.")
        async with asyncio.timeout(timeout):
            while not reached(self.counters):
                self._changed.clear()
                await self._changed.wait()

    def began(self, request: ChatRequest) -> None:
        self.requests.append(request)
        counters = self.counters
        counters.requests += 1
        counters.by_model[request.model] += 1
        counters.in_flight += 1
        counters.in_flight_peak = max(counters.in_flight_peak, counters.in_flight)
        self.notify()

    def ended(self, status: int | None) -> None:
        """One request less in flight; `status` None when its client has left."""
        self.counters.in_flight -= 1
        if status is None:
            self.counters.disconnects += 1
        else:
            self.counters.by_status[str(status)] += 1
        self.notify()

    def notify(self) -> None:
        if self._changed is not None:
            self._changed.set()

    def reset(self) -> None:
        """Start counting afresh; the models' `earlier` counts too."""
        self.counters = Counters(in_flight=self.counters.in_flight)
        self.requests.clear()


@contextmanager
def serve_in_thread(script: Script | None = None, *, latency: float = 0.0, port: int = 0) -> Iterator[MockProvider]:
    """A mock provider on a thread and event loop of its own."""
    server = MockProvider(script, latency=latency, port=port)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="mock-provider", daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Connection(asyncio.Protocol):
    """One client. Requests on it are answered one after the other; an immediate answer needs no task."""

    def __init__(self, server: MockProvider) -> None:
        self._server = server
        self._buffer = bytearray()
        self._answering: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server._connections.add(self)  # noqa: SLF001 - one mechanism in two classes
        self._server.counters.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._connections.discard(self)  # noqa: SLF001
        if self._answering is not None:
            self._answering.cancel()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._take_requests()

    def _take_requests(self) -> None:
        while self._answering is None and (end := self._buffer.find(HEAD_END)) >= 0:
            request_line, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            if "transfer-encoding" in headers:
                self._send_json(411, b'{"error": {"message": "Send a Content-Length."}}')
                return self._transport.close()
            length = int(headers.get("content-length", 0))
            if len(self._buffer) < end + 4 + length:
                return None
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._route(request_line, headers, body)
        return None

    def _route(self, request_line: str, headers: dict[str, str], body: bytes) -> None:
        method, path, *_ = request_line.split(" ")
        match method, path.partition("?")[0]:
            case "POST", "/v1/chat/completions":
                self._chat(headers, body)
            case "GET", "/counters":
                self._send_json(200, json.dumps(vars(self._server.counters)).encode())
            case "DELETE", "/counters":
                self._server.reset()
                self._send_json(200, b"{}")
            case "GET", "/v1/models":
                self._send_json(200, b'{"object": "list", "data": [{"id": "mock", "object": "model"}]}')
            case _:
                self._send_json(404, b'{"error": {"message": "The mock provider has no such path."}}')

    def _chat(self, headers: dict[str, str], raw: bytes) -> None:
        try:
            body: dict[str, Any] = json.loads(raw)
            model = str(body["model"])
        except (ValueError, KeyError, TypeError):
            return self._send_json(400, b'{"error": {"message": "Send a JSON object that names a model."}}')
        server = self._server
        request = ChatRequest(model, body, headers, server.counters.by_model[model])
        server.began(request)
        scripted = server.script(request) if server.script else None
        if inspect.isawaitable(scripted) or request.streamed:
            return self._answer_later(request, scripted)
        reply = self._as_reply(request, scripted)
        if reply.latency or reply.fault != "none":
            return self._answer_later(request, reply)
        self._send_whole(request, reply)
        return server.ended(reply.status)

    def _as_reply(self, request: ChatRequest, scripted: Any) -> Reply:
        if scripted is None:
            return scripted_by_words(request, self._server.base_reply)
        return Reply(text=scripted) if isinstance(scripted, str) else scripted

    def _answer_later(self, request: ChatRequest, scripted: Any) -> None:
        self._answering = asyncio.ensure_future(self._answer(request, scripted))

    async def _answer(self, request: ChatRequest, scripted: Any) -> None:
        status: int | None = None
        try:
            reply = self._as_reply(request, await scripted if inspect.isawaitable(scripted) else scripted)
            if reply.latency:
                await asyncio.sleep(reply.latency)
            await self._send(request, reply)
            status = reply.status
        finally:
            self._answering = None
            self._server.ended(status)
        if not self._transport.is_closing():
            self._take_requests()

    async def _send(self, request: ChatRequest, reply: Reply) -> None:
        if reply.fault == "stall":
            await asyncio.Event().wait()
        if reply.status == 200 and request.streamed:
            await self._send_stream(request, reply)
        else:
            self._send_whole(request, reply)
        if reply.fault == "cut":
            # What is written already has to reach the client first; what is missing never comes.
            self._transport.close()

    async def _send_stream(self, request: ChatRequest, reply: Reply) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        events = [GARBAGE + b"\n\n"] if reply.fault == "garbage" else completion_events(request, reply)
        if reply.fault == "cut":
            events = events[: len(events) // 2]
        for event in events:
            self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            if reply.piece_delay:
                await asyncio.sleep(reply.piece_delay)
        if reply.fault != "cut":
            self._transport.write(b"0\r\n\r\n")

    def _send_whole(self, request: ChatRequest, reply: Reply) -> None:
        if reply.status != 200:
            return self._send_json(reply.status, error_body(reply), retry_after=reply.retry_after)
        body = GARBAGE if reply.fault == "garbage" else completion_body(request, reply)
        return self._send_json(200, body, cut=reply.fault == "cut")

    def _send_json(self, status: int, body: bytes, *, retry_after: str | None = None, cut: bool = False) -> None:
        extra = f"retry-after: {retry_after}\r\n".encode() if retry_after is not None else b""
        head = b"HTTP/1.1 %d Mock\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % (status, len(body))
        self._transport.write(head + extra + b"\r\n" + (body[: len(body) // 2] if cut else body))


async def _serve(port: int, latency: float, host: str) -> None:
    async with MockProvider(latency=latency, port=port, host=host) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.port, options.latency, options.host))


if __name__ == "__main__":
    main()
