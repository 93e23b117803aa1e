"""SQL that the database server is to plan once a connection, whatever values it gets."""


class PreparedSql(str):
    """A statement whose best plan is the same for all values. The PostgreSQL backend prepares these, and no others."""

    __slots__ = ()
