"""The daily budgets of a deployment and of an API key, as the engine's `Budget`: the port to `daily_use`."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from django.conf import settings

from deployments.days import day_of
from deployments.executions import daily_use
from deployments.executions.daily_use import Charged, ChargeLost
from deployments.executions.database_threads import in_database_thread
from deployments.models import ExecutionLog
from executor.budget import Amount
from executor.errors import JournalClosed
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The part of a lease for which a reservation is asked for again while the database is away.
PATIENCE = 2 / 3
PAUSE_SECONDS = 0.25
NOT_OURS = "This execution is another worker's, or its daily budget cannot be looked up."


@dataclass(frozen=True)
class DatedAmount(Amount):
    """What was set aside, and the day whose budget it is."""

    day: date = date.min


class DailyBudget:
    """What one attempt of an execution sets aside in the daily budgets that it counts against.

    Raises `JournalClosed` once the execution is another attempt's, or while the database stays away.
    """

    def __init__(self, row: ExecutionLog, *, attempt: int) -> None:
        self._charged = Charged(row.id, attempt, daily_use.owners_of(row))
        self._began_on = day_of(row.started_at or row.created_at)
        #: Whether something was counted that is not settled for sure: then the journal has the last word.
        self._is_unsettled = False

    async def restore(self, used: Amount) -> None:
        if self._charged.attempt > 1:
            await self._patiently(lambda: daily_use.take_over(self._charged, used, began_on=self._began_on))

    async def reserve(self, amount: Amount) -> Amount:
        try:
            day = await self._patiently(lambda: daily_use.reserve(self._charged, amount))
        except asyncio.CancelledError:
            self._is_unsettled = True  # the thread goes on, and may set it aside
            raise
        return DatedAmount(amount.calls, amount.tokens, amount.cost, day)

    async def settle(self, reserved: Amount, used: Amount) -> None:
        if not isinstance(reserved, DatedAmount):
            raise TypeError("Only what was reserved here can be settled here.")
        try:
            await in_database_thread(daily_use.settle, self._charged, reserved.day, reserved, used)
        except asyncio.CancelledError:
            self._is_unsettled = True  # the thread may not even have begun
            raise
        except ChargeLost:
            log.info("Execution %s is another worker's; what it used is taken from its journal.", self._execution)
        except DATABASE_OUTAGES as error:
            self._is_unsettled = True
            log.warning("What execution %s used of its daily budget is settled later: %s", self._execution, error)

    async def close(self) -> None:
        """To be called once the execution has ended: nothing of it is on its way any more."""
        if self._is_unsettled:
            return  # `daily_use.settle_ended` looks into the journal
        try:
            await in_database_thread(daily_use.close, self._charged)
        except DATABASE_OUTAGES as error:
            log.warning("The daily budget of execution %s is closed later: %s", self._execution, error)

    @property
    def _execution(self) -> str:
        return str(self._charged.execution_id)

    async def _patiently(self, step: Callable[[], T]) -> T:
        give_up_at = time.monotonic() + settings.ENVIRONMENT.lease_seconds * PATIENCE
        while True:
            try:
                return await in_database_thread(step)
            except ChargeLost as lost:
                raise JournalClosed(NOT_OURS) from lost
            except DATABASE_OUTAGES as error:
                self._is_unsettled = True  # it may have been committed, and is then counted twice
                if time.monotonic() + PAUSE_SECONDS >= give_up_at:
                    log.warning("Execution %s is left to another attempt: %s", self._execution, error)
                    raise JournalClosed(NOT_OURS) from error
            await asyncio.sleep(PAUSE_SECONDS)
