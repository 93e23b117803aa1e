"""Django's PostgreSQL backend over a pool that knows when the server is away: what settings name as the engine."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base

from deployments.prepared_sql import PreparedSql
from orchestration_site.postgresql.pool import PromptPool


class MarkedCursor(base.ServerBindingCursor):
    """Lets psycopg prepare what is marked for it, and nothing else.

    By itself it prepares whatever comes again, and after five times PostgreSQL may go over to one plan for all values.
    Pages of the history then took 700 ms instead of 25, at a million rows: such a plan does not know that what a page
    asks for is common, or rare.
    """

    def execute(
        self, query: Any, params: Any = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Any:
        if prepare is None and not isinstance(query, PreparedSql):
            prepare = False
        return super().execute(query, params, prepare=prepare, binary=binary)  # type: ignore[misc] # psycopg's, which stubs omit


class DatabaseWrapper(base.DatabaseWrapper):
    """What settings name as `orchestration_site.postgresql`."""

    _connection_pools: ClassVar[dict[str, PromptPool]]
    _configure_connection: Callable[[Any], bool]

    def get_connection_params(self) -> dict[str, Any]:
        parameters: dict[str, Any] = super().get_connection_params()
        return parameters | {"cursor_factory": MarkedCursor}

    @property
    def pool(self) -> PromptPool | None:
        """The pool of this database, as Django's own property makes it, but of another class."""
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        if self.alias not in self._connection_pools:
            pool = PromptPool(
                kwargs=self.get_connection_params() | {"autocommit": True},  # Django sets it later on
                open=False,
                configure=self._configure_connection,
                **options,
            )
            # Of several threads that come here at once, the first one's pool is everybody's.
            self._connection_pools.setdefault(self.alias, pool)
        return self._connection_pools[self.alias]
