"""Database work for code that runs on an event loop: in a few threads, each giving its connection back afterwards."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")

_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="database")
#: Few, because this work is long and Python's: more of them would only take turns, and the event loop's turn with them.
_replay_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="replay")


async def in_database_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the function where it may block on the database. A caller that waits longer holds no connection."""
    context = copy_context()  # what is logged there belongs to the same request or execution
    return await asyncio.get_running_loop().run_in_executor(
        _threads, lambda: context.run(lambda: _call(function, *args, **kwargs))
    )


async def in_replay_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for reading journals to viewers, who come in hundreds: nobody else waits behind them."""
    return await asyncio.get_running_loop().run_in_executor(_replay_threads, lambda: _call(function, *args, **kwargs))


def _call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        # With psycopg's pool this returns the connection; SQLite's stays open (CONN_MAX_AGE).
        close_old_connections()
