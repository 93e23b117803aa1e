"""The whole system in one process: the web server on the main thread's event loop, worker and beat beside it."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvicorn
from asgiref.typing import ASGI3Application

from deployments.live.waiting import let_callers_go
from orchestration_site.background_services import BackgroundServices
from orchestration_site.draining import begin_draining

#: How long answers that are under way may take after the executions have ended.
GRACEFUL_SECONDS = 5


class Server(uvicorn.Server):
    """Uvicorn without its own signal handlers, which raise the signal again after a clean end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class EmbeddedServer:
    """Serves until SIGTERM or SIGINT; then refuses new requests, drains the worker, answers who waits, and ends."""

    def __init__(self, application: ASGI3Application, services: BackgroundServices) -> None:
        self._services = services
        self._config = uvicorn.Config(
            application,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # `build_application` sees to them
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
        self._server = Server(self._config)

    def run(self, listener: socket.socket, *, on_ready: Callable[[], None]) -> bool:
        """Serve. False when executions had to be left behind."""
        with asyncio.Runner(loop_factory=self._config.get_loop_factory()) as runner:
            return runner.run(self._run(listener, on_ready))

    async def _run(self, listener: socket.socket, on_ready: Callable[[], None]) -> bool:
        told_to_stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, told_to_stop)
        serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await _first_of(serving, self._server.answering.wait())
        if self._server.started:
            self._services.start()
            on_ready()
            await _first_of(serving, told_to_stop.wait())
        return await self._end(serving)

    async def _end(self, serving: "asyncio.Task[None]") -> bool:
        begin_draining()
        stopped = await asyncio.to_thread(self._services.stop)
        let_callers_go()  # what was given back ends after the next start: they are told where
        self._server.should_exit = True
        await serving
        return stopped

    def _on_signal(self, told_to_stop: asyncio.Event) -> None:
        # A second signal means: now.
        self._server.force_exit = told_to_stop.is_set()
        told_to_stop.set()


async def _first_of(serving: "asyncio.Task[None]", event: Coroutine[Any, Any, Any]) -> None:
    """Wait for the event, or for the server's end if that comes first."""
    waiting = asyncio.create_task(event)
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
