"""A receiver of webhooks for tests: a real HTTP server that answers as its paths say."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`/200` is answered with 200, and so on; `/stall` never, `/garbage` with something that is no HTTP."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    #: What is answered to the next requests, whatever their paths say.
    next_statuses: list[int] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait(self) -> Received:
        """The next request that nobody has waited for."""
        assert self.arrived.acquire(timeout=30), "nothing was received"
        return self.received[-1]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.received.append(Received(request.path_qs, {k.lower(): v for k, v in request.headers.items()}, body))
        self.arrived.release()
        if self.next_statuses:
            return web.Response(status=self.next_statuses.pop(0))
        what = request.path.strip("/")
        if what == "stall":
            await asyncio.sleep(3600)
        if what == "garbage":
            assert request.transport is not None
            request.transport.write(b"\x00\xff this is no HTTP\r\n\r\n")
            request.transport.close()
            return web.Response()
        if what == "endless":
            return await _without_end(request)
        if what == "302":
            return web.Response(status=302, headers={"Location": self.url("/200")})
        if what == "429":
            return web.Response(status=429, headers={"Retry-After": "7200"})
        return web.Response(status=int(what), text="said \x00 by the receiver " + "x" * 5_000)


async def _without_end(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(b"begun")
    await asyncio.sleep(3600)
    return answer


@contextlib.contextmanager
def run_receiver() -> Iterator[Receiver]:
    """On a free port of this machine, on a loop in a thread of its own."""
    receiver, loop = Receiver(), asyncio.new_event_loop()

    async def start() -> Any:
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", receiver.answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receiver.port = runner.addresses[0][1]
        return runner

    threading.Thread(target=loop.run_forever, daemon=True).start()
    runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
