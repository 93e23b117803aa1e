"""The days of budgets and quotas: those of UTC, whatever zone people or machines are in."""

from datetime import UTC, date, datetime, timedelta
from math import ceil


def day_of(moment: datetime) -> date:
    """The day, in UTC, that the moment belongs to."""
    return moment.astimezone(UTC).date()


def start_of(day: date) -> datetime:
    """The first moment of that day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def seconds_to_next_day(now: datetime) -> int:
    """Whole seconds until the next day begins; at least one."""
    left = start_of(day_of(now) + timedelta(days=1)) - now
    return max(1, ceil(left.total_seconds()))
