"""The web server: uvicorn, set up for what this site serves. Alone it is the role `web` (`manage.py web`)."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvicorn
from asgiref.typing import ASGI3Application

from deployments.live.admission import current_admissions
from deployments.live.closing import Closing
from deployments.live.waiting import let_callers_go
from orchestration_site.closing_protocol import ClosingHttp, ClosingWebSocket
from orchestration_site.draining import begin_draining, is_draining

#: Nothing is to be sent over our sockets.
MAX_SOCKET_MESSAGE_BYTES = 4 * 1024


def server_config(application: ASGI3Application, *, graceful_seconds: int) -> uvicorn.Config:
    """How uvicorn serves the site; answers that are under way when it stops get so many seconds."""
    return uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `build_application` sees to them
        http=ClosingHttp,
        ws=ClosingWebSocket,
        ws_max_size=MAX_SOCKET_MESSAGE_BYTES,
        # Events are small, and each compressing socket would keep tens of kilobytes and take most of the time.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=graceful_seconds,
    )


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

    def stop(self) -> None:
        """End: streams of live progress at once, so that their viewers go elsewhere, then what else is under way."""
        current_admissions().end_all(Closing.RESTARTING)
        self.should_exit = True


class WebServer:
    """Serves until SIGTERM or SIGINT; then refuses new requests, lets answers that are under way end, and ends."""

    #: For callers that wait for a result; and before that the time for which they may.
    GRACEFUL_SECONDS = 25
    CALLERS_SECONDS = 20

    def __init__(self, application: ASGI3Application) -> None:
        self._config = server_config(application, graceful_seconds=self.GRACEFUL_SECONDS)
        self._server = Server(self._config)

    def run(self, listener: socket.socket, *, on_ready: Callable[[], None]) -> None:
        """Serve. Blocks."""
        with asyncio.Runner(loop_factory=self._config.get_loop_factory()) as runner:
            runner.run(self._run(listener, on_ready))

    async def _run(self, listener: socket.socket, on_ready: Callable[[], None]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await first_of(serving, self._server.answering.wait())
        if self._server.started:
            on_ready()
        await serving

    def _on_signal(self) -> None:
        # A second signal means: now.
        self._server.force_exit = is_draining()
        begin_draining()
        # Whoever still waits by then is told where its execution is found, before the server would break it off.
        asyncio.get_running_loop().call_later(self.CALLERS_SECONDS, let_callers_go)
        self._server.stop()


async def first_of(serving: "asyncio.Task[None]", event: Coroutine[Any, Any, Any]) -> None:
    """Wait for the event, or for the server's end if that comes first."""
    waiting = asyncio.create_task(event)
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
