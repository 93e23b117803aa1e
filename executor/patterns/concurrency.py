"""Running several agents of one block at once, without leaving a task behind."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


async def run_at_once(coroutines: Iterable[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """Start all in the given order and return their results in that order.

    The first exception cancels the others, waits until they have ended, and is then raised by itself, never in a
    group. A failure that the caller can live with has to be a result, not an exception.
    """
    try:
        async with asyncio.TaskGroup() as group:
            started = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as failed:
        # A task group nests no groups of its own, so the first one in it is the exception that a task raised.
        raise failed.exceptions[0] from None
    return [task.result() for task in started]
