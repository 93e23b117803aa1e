"""Django's PostgreSQL backend with a pool that hands out no connection which the server has closed meanwhile.

After a restart of the server every connection that lay in the pool is dead. The pool would hand them out one by one,
and each would fail a request, a heartbeat or a commit long after the server is back.
"""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Connection


class DatabaseWrapper(base.DatabaseWrapper):
    """What settings name as `orchestration_site.postgresql`."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        pool = self.pool
        if pool is None:
            return connection
        for _ in range(pool.max_size):
            if not _is_closed_by_server(connection):
                break
            connection.close()
            pool.putconn(connection)  # which has a new one made in its place
            connection = super().get_new_connection(conn_params)
        return connection


def _is_closed_by_server(connection: Connection) -> bool:
    """Whether there is something to be read where nothing was asked: a server's last words, or the end.

    It costs no round trip. What else a server may say by itself (a setting has changed) costs a new connection.
    """
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    return bool(waiting.poll(0))
