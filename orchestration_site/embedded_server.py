"""The whole system in one process: the web server on the main thread's event loop, worker and beat beside it."""

import asyncio
import signal
import socket
from collections.abc import Callable

from asgiref.typing import ASGI3Application

from deployments.live.waiting import let_callers_go
from orchestration_site.background_services import BackgroundServices
from orchestration_site.draining import begin_draining
from orchestration_site.web_server import Server, first_of, server_config

#: How long answers that are under way may take after the executions have ended.
GRACEFUL_SECONDS = 5


class EmbeddedServer:
    """Serves until SIGTERM or SIGINT; then refuses new requests, drains the worker, answers who waits, and ends.

    At a second signal what still runs is given back to the queue at once.
    """

    def __init__(self, application: ASGI3Application, services: BackgroundServices) -> None:
        self._services = services
        self._config = server_config(application, graceful_seconds=GRACEFUL_SECONDS)
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
        await first_of(serving, self._server.answering.wait())
        if self._server.started:
            self._services.start()
            on_ready()
            await first_of(serving, told_to_stop.wait())
        return await self._end(serving)

    async def _end(self, serving: "asyncio.Task[None]") -> bool:
        begin_draining()
        stopped = await asyncio.to_thread(self._services.stop)
        let_callers_go()  # what was given back ends after the next start: they are told where
        self._server.stop()
        await serving
        return stopped

    def _on_signal(self, told_to_stop: asyncio.Event) -> None:
        if told_to_stop.is_set():
            self._services.hurry()  # a second signal means: now. Who waits for an answer is told where it will be
        told_to_stop.set()
