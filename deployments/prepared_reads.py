"""One row by one value, with SQL that is compiled once.

Django compiles a queryset anew each time, which takes three times as long as running it; on the way of a call that is
most of what a read costs.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import connection, models

RowT = TypeVar("RowT", bound=models.Model)


class PreparedRead(Generic[RowT]):
    """The first row of `rows_with(value)`, whose only parameter has to be that value of the model's `field_name`.

    What the queryset leaves out with `only` or `defer` is read when it is asked for, as ever.
    """

    def __init__(self, model: type[RowT], field_name: str, rows_with: Callable[[Any], "models.QuerySet[RowT]"]) -> None:
        self._model = model
        self._field: Any = model._meta.get_field(field_name)  # noqa: SLF001 - Django's documented API
        self._rows_with = rows_with

    def first(self, value: Any) -> RowT | None:
        """The row, None when there is none."""
        prepared = self._field.get_db_prep_value(value, connection, prepared=False)
        rows = self._model._default_manager.raw(self._sql, [prepared])  # noqa: SLF001 - Django's documented API
        return next(iter(rows), None)

    @cached_property
    def _sql(self) -> str:
        example = self._field.to_python("00000000-0000-0000-0000-000000000000")
        sql, parameters = self._rows_with(example).order_by().query.sql_with_params()
        if len(parameters) != 1:
            raise ValueError(f"One parameter is prepared, and this has {len(parameters)}: {sql}")
        return str(sql)
