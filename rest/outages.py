"""What the database's driver and its pool raise while the database is away: whoever tried may try again."""

from django.db import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout, TooManyRequests

#: `InterfaceError` is no `DatabaseError`, and the pool's errors are none of Django's where nothing wraps them.
DATABASE_OUTAGES = (OperationalError, InterfaceError, PoolTimeout, TooManyRequests)
