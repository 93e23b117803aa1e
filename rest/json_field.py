"""JSON kept as it was sent."""

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.types.json import Json


class VerbatimJSONField(models.JSONField):
    """A JSONField that keeps the order of an object's keys, on PostgreSQL too, where `jsonb` loses it.

    A prompt is made from such values: a resumed execution has to make the very same one. The column's type `json` has
    no equality, so it cannot be in a DISTINCT.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "json" if connection.vendor == "postgresql" else super().db_type(connection)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        if connection.vendor != "postgresql" or value is None or hasattr(value, "as_sql"):
            return super().get_db_prep_value(value, connection, prepared)
        return Json(value, dumps=_compact)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        # psycopg has loaded a `json` column already; SQLite hands the text over.
        return json.loads(value) if connection.vendor != "postgresql" and isinstance(value, str) else value


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
