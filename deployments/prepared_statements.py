"""Statements of the ORM whose SQL is compiled once.

Django compiles a queryset anew each time, which takes three times as long as running it; on the way of a call that is
most of what a statement costs. Here the ORM writes the SQL once a process, with a slot for each value that changes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression
from django.db.models.sql import InsertQuery, UpdateQuery

from deployments.prepared_sql import PreparedSql

RowT = TypeVar("RowT", bound=models.Model)
Values = Mapping[str, Any]

#: From so many rows on PostgreSQL's COPY, which takes a round trip more, is the faster way to insert.
ROWS_TO_COPY = 8


class Slot(Expression):
    """A value that is given when the statement runs, with the type of a model's field."""

    def __init__(self, name: str, field: "models.Field[Any, Any]") -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]


MakeSlot = Callable[..., Slot]


def slots_of(model: type[models.Model]) -> MakeSlot:
    """Makes slots for the model's fields: `slot("seq")`, or `slot("new_seq", of="seq")` under a name of its own."""

    def slot(name: str, *, of: str = "") -> Slot:
        return Slot(name, model._meta.get_field(of or name))  # type: ignore[arg-type]  # noqa: SLF001 - Django's documented API

    return slot


class Prepared:
    """SQL and its parameters, some of which are slots."""

    def __init__(self, sql: str, parameters: Sequence[Any]) -> None:
        self.sql = PreparedSql(sql)
        #: Each parameter, as its name and what its field makes of a value, or as it is.
        self._parameters = [
            (each.name, each.output_field.get_db_prep_save, None) if isinstance(each, Slot) else ("", None, each)
            for each in parameters
        ]

    def fill(self, values: Values) -> list[Any]:
        """The parameters for these values, as the database's driver takes them. Raises `KeyError` for one missing."""
        return self._fill(values, connections[DEFAULT_DB_ALIAS])

    def _fill(self, values: Values, database: BaseDatabaseWrapper) -> list[Any]:
        # Given the connection itself: through `django.db.connection` each field's conversion looks it up anew. To every
        # field None is NULL, and of most rows half the columns are.
        return [
            fixed if prepare is None else None if (value := values[name]) is None else prepare(value, database)
            for name, prepare, fixed in self._parameters
        ]

    def run_each(self, rows: Iterable[Values]) -> int:
        """Run it for each row of values, sent together where the driver can; how many rows it changed in all."""
        database = connections[DEFAULT_DB_ALIAS]
        filled = [self._fill(values, database) for values in rows]
        if not filled:
            return 0
        with connection.cursor() as cursor:
            if len(filled) == 1:
                cursor.execute(self.sql, filled[0])
            else:
                cursor.executemany(self.sql, filled)
            return int(cursor.rowcount)


class PreparedRead(Generic[RowT]):
    """The rows of `rows(slot)`, of one table. What it leaves out with `only` or `defer` is read when asked for."""

    def __init__(self, model: type[RowT], rows: Callable[[MakeSlot], "models.QuerySet[RowT]"]) -> None:
        self._model = model
        self._rows = rows

    def first(self, **values: Any) -> RowT | None:
        """The first row, None when there is none."""
        database = connections[DEFAULT_DB_ALIAS]
        with database.cursor() as cursor:
            cursor.execute(self._prepared.sql, self._prepared._fill(values, database))  # noqa: SLF001 - of this module
            found = cursor.fetchone()
        return None if found is None else self._make(found, database)

    def _make(self, found: Sequence[Any], database: BaseDatabaseWrapper) -> RowT:
        """The row as a queryset makes it, without finding out anew for each which column is which field."""
        row = list(found)
        for place, (convert_all, expression) in self._converters.items():
            for convert in convert_all:
                row[place] = convert(row[place], expression, database)
        return self._model.from_db(DEFAULT_DB_ALIAS, self._names, row)

    @cached_property
    def _compiler(self) -> Any:
        return self._rows(slots_of(self._model)).order_by().query.get_compiler(DEFAULT_DB_ALIAS)

    @cached_property
    def _prepared(self) -> Prepared:
        return Prepared(*self._compiler.as_sql())

    @cached_property
    def _names(self) -> list[str]:
        return [column.target.attname for column, *_ in self._compiler.select]

    @cached_property
    def _converters(self) -> dict[int, Any]:
        converters: dict[int, Any] = self._compiler.get_converters([column for column, *_ in self._compiler.select])
        return converters


class PreparedUpdate:
    """The update of `rows(slot)` by `changes(slot)`; `returning` is what is answered of a row as it then is."""

    def __init__(
        self,
        model: type[models.Model],
        rows: Callable[[MakeSlot], "models.QuerySet[Any]"],
        changes: Callable[[MakeSlot], Mapping[str, Any]],
        *,
        returning: Sequence[Any] = (),
    ) -> None:
        self._model = model
        self._rows = rows
        self._changes = changes
        self._returning = returning

    def run_each(self, rows: Iterable[Values]) -> int:
        """How many rows changed in all, with the statement run once for each row of values."""
        return self._prepared.run_each(rows)

    def run_returning(self, **values: Any) -> list[Any] | None:
        """What is returned of the one row that changed; None when there was none."""
        database = connections[DEFAULT_DB_ALIAS]
        with database.cursor() as cursor:
            cursor.execute(self._and_return.sql, self._and_return._fill(values, database))  # noqa: SLF001 - of this module
            found = cursor.fetchall()
        return self._convert(list(found[0]), database) if found else None

    def _convert(self, row: list[Any], database: BaseDatabaseWrapper) -> list[Any]:
        for place, (convert_all, expression) in self._converters.items():
            for convert in convert_all:
                row[place] = convert(row[place], expression, database)
        return row

    @cached_property
    def _prepared(self) -> Prepared:
        return Prepared(*self._compiler.as_sql())

    @cached_property
    def _and_return(self) -> Prepared:
        """A statement of its own: SQLite counts the rows of one that returns them only as they are read."""
        sql, parameters = self._compiler.as_sql()
        compiled = [self._compiler.compile(each) for each in self._returned]
        returned = [value for _, values in compiled for value in values]
        return Prepared(f"{sql} RETURNING {', '.join(each for each, _ in compiled)}", [*parameters, *returned])

    @cached_property
    def _compiler(self) -> Any:
        slot = slots_of(self._model)
        query: Any = self._rows(slot).order_by().query.chain(UpdateQuery)
        query.add_update_values(self._changes(slot))
        query.annotations = {}
        return query.get_compiler(connection=connection)

    @cached_property
    def _returned(self) -> list[Any]:
        return [each.resolve_expression(self._compiler.query) for each in self._returning]

    @cached_property
    def _converters(self) -> dict[int, Any]:
        converters: dict[int, Any] = self._compiler.get_converters(self._returned)
        return converters


class PreparedInsert:
    """The insert of rows of a model, all of whose values are known: neither defaults nor signals apply."""

    def __init__(self, model: type[models.Model]) -> None:
        self._model = model
        self._fields: Any = model._meta.concrete_fields  # noqa: SLF001 - Django's documented API

    def insert(self, rows: Sequence[models.Model]) -> None:
        """Raises `IntegrityError` and `DataError` as `bulk_create` does."""
        values = ({field.name: getattr(row, field.attname) for field in self._fields} for row in rows)
        if len(rows) >= ROWS_TO_COPY and connection.vendor == "postgresql":
            self._copy(values)
        else:
            self._prepared.run_each(values)
        for row in rows:
            row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 - Django's documented API

    def _copy(self, rows: Iterable[Values]) -> None:
        """The same with PostgreSQL's COPY, which takes many rows in half the time and less."""
        database = connections[DEFAULT_DB_ALIAS]
        filled = [self._prepared._fill(values, database) for values in rows]  # noqa: SLF001 - of this module
        with database.cursor() as cursor, database.wrap_database_errors, cursor.copy(self._copy_sql) as copy:
            for each in filled:
                copy.write_row(each)

    @cached_property
    def _copy_sql(self) -> str:
        quote = connection.ops.quote_name
        columns = ", ".join(quote(field.column) for field in self._fields)
        return f"COPY {quote(self._model._meta.db_table)} ({columns}) FROM STDIN"  # noqa: SLF001 - Django's documented API

    @cached_property
    def _prepared(self) -> Prepared:
        row = self._model(**{field.attname: Slot(field.name, field) for field in self._fields})
        query: Any = InsertQuery(self._model)
        query.insert_values(self._fields, [row])
        ((sql, parameters),) = query.get_compiler(connection=connection).as_sql()
        return Prepared(sql, parameters)
