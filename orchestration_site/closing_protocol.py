"""Uvicorn's protocols, with an end for clients that do not read."""

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from orchestration_site.http_protocol import BoundedHeadProtocol

#: How long a client that has been sent its close may take to read it and to answer.
CLOSE_SECONDS = 5.0
SHUTDOWN_SECONDS = 3.0


class ClosingHttp(BoundedHeadProtocol):
    """Uvicorn waits for such a client until its patience is over, and then cancels with an error in the log.

    Here the connection is gone a few seconds after the server was told to stop. Whoever waits for an answer stays.
    """

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(SHUTDOWN_SECONDS, self._abort_if_unread)

    def _abort_if_unread(self) -> None:
        if self.flow is not None and self.flow.write_paused:
            self.transport.abort()


class ClosingWebSocket(WebSocketsSansIOProtocol):
    """Uvicorn holds even a close back until the client has read what came before, and then waits for it for ever.

    Here the close goes out behind what is waiting, and some seconds later the connection is gone, read or not.
    """

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] != "websocket.close":
            await super().send(message)
            return
        self.writable.set()
        await super().send(message)
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(SHUTDOWN_SECONDS, self.transport.abort)
