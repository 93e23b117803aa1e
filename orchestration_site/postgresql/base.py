"""Django's PostgreSQL backend over a pool that knows when the server is away: what settings name as the engine."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base

from orchestration_site.postgresql.pool import PromptPool


class DatabaseWrapper(base.DatabaseWrapper):
    """What settings name as `orchestration_site.postgresql`."""

    _connection_pools: ClassVar[dict[str, PromptPool]]
    _configure_connection: Callable[[Any], bool]

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
