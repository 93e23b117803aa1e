"""psycopg's pool, but one that soon knows when the server is away, and when it is back.

As it is, whoever asks during an outage waits all of `timeout` for a connection, attempts to reconnect come ever more
rarely, and after a restart every connection that lay in the pool fails one request, heartbeat or commit.
"""

import select
from time import monotonic
from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolTimeout

#: While the server is away, somebody tries to reach it so often; everybody else is told at once.
SECONDS_BETWEEN_TRIES = 0.5
#: Those who wait for a connection look so often whether the server is away.
SECONDS_BETWEEN_LOOKS = 0.25


class PromptPool(ConnectionPool[Connection[Any]]):
    """Attempts to connect are made when somebody asks, and are not repeated in the background."""

    def __init__(self, **options: Any) -> None:
        # The pool tries to reconnect ever more rarely until this is over; then whoever asks makes it try at once.
        super().__init__(**options, reconnect_timeout=0)
        self._away_at = float("-inf")

    def getconn(self, timeout: float | None = None) -> Connection[Any]:
        """A connection that the server has not closed. Raises `PoolTimeout`, at once while the server is away."""
        end = monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            if monotonic() - self._away_at < SECONDS_BETWEEN_TRIES:
                raise PoolTimeout("PostgreSQL was not there a moment ago.")
            try:
                connection = super().getconn(min(SECONDS_BETWEEN_LOOKS, end - monotonic()))
            except PoolTimeout:
                if monotonic() >= end:
                    raise
                continue
            if not _is_closed_by_server(connection):
                return connection
            connection.close()
            self.putconn(connection)  # which has a new one made in its place

    def reconnect_failed(self) -> None:
        """Called by the pool when it could not connect. One that still has connections may only have too many."""
        if not self.get_stats().get("pool_size"):
            self._away_at = monotonic()
        super().reconnect_failed()


def _is_closed_by_server(connection: Connection[Any]) -> bool:
    """Whether there is something to be read where nothing was asked: a server's last words, or the end.

    It costs no round trip. What else a server may say by itself (a setting has changed) costs a new connection.
    """
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    return bool(waiting.poll(0))
