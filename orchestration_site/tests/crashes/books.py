"""A site's database, read beside the site: what has to hold in it after any crash."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

SQLITE_SECONDS = 60.0
ENDED = ("completed", "failed", "cancelled")
_RESULTS = ("agent.completed", "agent.failed", "decision")


class Books:
    """The database of one site. In a query `%s` stands for each value; ids are texts of 32 hexadecimal digits."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._url = env.get("DATABASE_URL", "")
        self._file = Path(env["DATA_DIR"]) / "orchestration.sqlite3"
        self._connection: psycopg.Connection[Any] | None = None

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query; none of a change."""
        return self._in_postgres(sql, values) if self._url else self._in_sqlite(sql, values)

    def executions_of(self, token: str) -> list[dict[str, Any]]:
        """Those with that word in their input: `id, status, attempt, losses, seq, error_code`, oldest first."""
        columns = ("id", "status", "attempt", "losses", "seq", "error_code")
        sql = f"SELECT {', '.join(columns)} FROM deployments_executionlog WHERE CAST(input_data AS text) LIKE %s"  # noqa: S608 - our own words
        return [dict(zip(columns, row, strict=True)) for row in self.run(f"{sql} ORDER BY created_at", f"%{token}%")]

    def recorded_steps(self, execution_id: str) -> set[str]:
        """The blocks of which an agent's answer is recorded."""
        sql = "SELECT block_id FROM deployments_executionevent WHERE execution_id = %s AND type = 'agent.completed'"
        return {block_id for (block_id,) in self.run(sql, execution_id)}

    def complaints(self, executions: Collection[dict[str, Any]]) -> list[str]:
        """What is wrong with these executions, which have ended, and with what all deployments have counted."""
        found = [complaint for execution in executions for complaint in self._complaints_of(execution)]
        ended = ", ".join(f"'{status}'" for status in ENDED)
        miscounted = self.run(
            "SELECT d.endpoint_path, d.execution_count, count(e.id) FROM deployments_deployment d"  # noqa: S608 - our own words
            f" LEFT JOIN deployments_executionlog e ON e.deployment_id = d.id AND e.status IN ({ended})"
            " GROUP BY d.id, d.endpoint_path, d.execution_count HAVING d.execution_count <> count(e.id)"
        )
        return found + [f"{path} counted {counted} executions of {true}" for path, counted, true in miscounted]

    def _complaints_of(self, execution: dict[str, Any]) -> list[str]:
        sql = "SELECT seq, type, key FROM deployments_executionevent WHERE execution_id = %s ORDER BY seq"
        events = self.run(sql, execution["id"])
        results = [key for _, kind, key in events if kind in _RESULTS]
        last = f"execution.{execution['status']}"
        found = []
        if [seq for seq, _, _ in events] != list(range(1, execution["seq"] + 1)):
            found.append(f"sequence numbers {[seq for seq, _, _ in events]} up to {execution['seq']}")
        if len(results) != len(set(results)):
            found.append(f"a result twice: {results}")
        if [kind for _, kind, _ in events if kind.removeprefix("execution.") in ENDED] != [last] or events[-1][
            1
        ] != last:
            found.append(f"{[kind for _, kind, _ in events]} does not end once, as {execution['status']}")
        return [f"{execution['id']}: {complaint}" for complaint in found]

    def _in_postgres(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        # One that is kept: a story looks a hundred times a second, and each new one is a new process of the server.
        if self._connection is None:
            self._connection = psycopg.connect(self._url, autocommit=True)
        cursor = self._connection.execute(sql, values)
        return [] if cursor.description is None else [tuple(map(_plain, row)) for row in cursor]

    def _in_sqlite(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self._file, timeout=SQLITE_SECONDS, isolation_level=None)
        try:
            return connection.execute(sql.replace("%s", "?"), values).fetchall()
        finally:
            connection.close()


def _plain(value: Any) -> Any:
    """As SQLite keeps it."""
    return value.hex if hasattr(value, "hex") and not isinstance(value, (float, bytes)) else value
