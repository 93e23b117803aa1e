"""A uvicorn in a thread, for middleware that only a socket can prove."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

STARTUP_SECONDS = 20


@contextmanager
def serve(app: Any, **options: Any) -> Iterator[int]:
    """Serves the application on a free port of loopback, and gives the port. `options` are uvicorn's."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off", **options)
    server = uvicorn.Server(config)
    started = threading.Event()
    original = server.startup

    async def startup(*args: Any, **kwargs: Any) -> None:
        await original(*args, **kwargs)
        started.set()

    server.startup = startup  # type: ignore[method-assign] # tells when the port is bound
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert started.wait(STARTUP_SECONDS), "uvicorn has not started"
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(STARTUP_SECONDS)
