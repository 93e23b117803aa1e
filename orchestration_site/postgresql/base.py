"""Django's PostgreSQL backend for a server that may be away for a while.

After a restart of the server every connection that lay in the pool is dead. The pool would hand them out one by one,
and each would fail a request, a heartbeat or a commit long after the server is back: here they are left out.

While the server is away, whoever needs a connection would wait for as long as the pool lets him, and hold one of the
few threads that answer requests: here one waits for all, and the others are told at once.
"""

import select
import threading
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection, OperationalError


class DatabaseWrapper(base.DatabaseWrapper):
    """What settings name as `orchestration_site.postgresql`."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.pool is None:
            return super().get_new_connection(conn_params)
        with _outages.setdefault(self.alias, _Outage()):
            return self._take_living_connection(conn_params)

    def _take_living_connection(self, conn_params: dict[str, Any]) -> Any:
        for _ in range(self.pool.max_size):
            connection = super().get_new_connection(conn_params)
            if not _is_closed_by_server(connection):
                return connection
            connection.close()
            self.pool.putconn(connection)  # which has a new one made in its place
        return super().get_new_connection(conn_params)


class _Outage:
    """Whether the server was away when it was last asked for a connection; one thread at a time asks again.

    As a context manager it lets everyone in while the server is there. Raises `OperationalError` while it is not.
    """

    def __init__(self) -> None:
        self._is_away = False
        self._trying = threading.Lock()
        self._tries = threading.local()

    def __enter__(self) -> None:
        self._tries.alone = self._is_away and self._trying.acquire(blocking=False)
        if self._is_away and not self._tries.alone:
            raise OperationalError("The database does not answer.")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._is_away = False
        elif issubclass(kind, OperationalError):  # the pool's errors are among these
            self._is_away = True
        if self._tries.alone:
            self._trying.release()


_outages: dict[str, _Outage] = {}


def _is_closed_by_server(connection: Connection) -> bool:
    """Whether there is something to be read where nothing was asked: a server's last words, or the end.

    It costs no round trip. What else a server may say by itself (a setting has changed) costs a new connection.
    """
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    return bool(waiting.poll(0))
