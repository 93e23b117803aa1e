"""How many executions there were over time, in buckets that can be chosen as a range."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, F, Func, IntegerField, Q, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from deployments.models import ExecutionLog
from rest.searching import end_of_step

BUCKETS = 60
DEFAULT_RANGE = timedelta(days=30)
#: Nothing ran before or will run after, and a bucket that begins or ends beyond still has a date.
EARLIEST, LATEST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = 60, 3600, 86_400
#: Widths that a person reads at once, in seconds.
WIDTHS = (
    *(1, 5, 15, 30),
    *(MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR),
    *(DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY),
)


class EpochBucket(Func):
    """In which of the spans of `width` seconds since 1970 a column's instant lies, by the database's own arithmetic."""

    output_field = IntegerField()
    # In floating point, which tells microseconds apart: EXTRACT reckons in decimals, and takes twice as long.
    template = "FLOOR(DATE_PART('epoch', %(expressions)s) / %(width)d)::bigint"

    def __init__(self, column: str, width: int) -> None:
        super().__init__(F(column), width=width)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        # Without the fraction, which SQLite would round: 11:59:59.9999 is not noon yet.
        template = "CAST(strftime('%%%%s', substr(%(expressions)s, 1, 19)) AS INTEGER) / %(width)d"
        return super().as_sql(compiler, connection, template=template, **extra)


@dataclass(frozen=True)
class Bar:
    """One bucket. `height` and `failed_height` are percent of the highest. Not all of it may be counted."""

    start: datetime
    end: datetime
    count: int
    failed: int
    height: float
    failed_height: float
    is_whole: bool = True

    @property
    def top(self) -> float:
        return 100 - self.height

    @property
    def failed_top(self) -> float:
        return 100 - self.failed_height


@dataclass(frozen=True)
class Histogram:
    """Bars without a gap from `start` to `end`. What is older than `counted_to` was not looked at."""

    start: datetime
    end: datetime
    bars: list[Bar]
    counted_to: datetime | None = None

    @property
    def count(self) -> int:
        return sum(bar.count for bar in self.bars)

    @property
    def failed(self) -> int:
        return sum(bar.failed for bar in self.bars)


def count_over_time(
    executions: QuerySet[ExecutionLog], *, after: datetime | None, before: datetime | None, now: datetime
) -> Histogram:
    """Without an end the range ends now; without a start it is as long as `DEFAULT_RANGE`."""
    end = min(max(before or now, EARLIEST + DEFAULT_RANGE), LATEST)
    start = min(max(after or end - DEFAULT_RANGE, EARLIEST), LATEST)
    width = _width(start, end)
    first, last = int(start.timestamp()) // width, -(-int(max(end.timestamp(), start.timestamp() + 1)) // width)
    within = Q(created_at__gte=_instant(first * width), created_at__lt=_instant(last * width))
    oldest = end_of_step(executions, within)
    counted_to = None if oldest is None else oldest.created_at
    counts = _count(executions.filter(within), counted_to, width)
    bars = list(_bars(counts, range(first, last), width, counted_to))
    return Histogram(_instant(first * width), _instant(last * width), bars, counted_to)


def _count(executions: QuerySet[ExecutionLog], counted_to: datetime | None, width: int) -> dict[int, tuple[int, int]]:
    """How many there are, and how many of them failed, by bucket."""
    if counted_to is not None:
        executions = executions.filter(created_at__gte=counted_to)
    counted = executions.order_by().annotate(bucket=EpochBucket("created_at", width)).values("bucket")
    rows = counted.annotate(count=Count("id"), failed=Count("id", filter=Q(status="failed")))
    return {row["bucket"]: (row["count"], row["failed"]) for row in rows}


def _bars(counts: dict[int, tuple[int, int]], buckets: range, width: int, counted_to: datetime | None) -> Iterator[Bar]:
    highest = max((count for count, _ in counts.values()), default=1)
    for bucket in buckets:
        count, failed = counts.get(bucket, (0, 0))
        start, end = _instant(bucket * width), _instant((bucket + 1) * width)
        # What there is one of beside thousands has to be seen too.
        height = max(count / highest * 100, 4.0) if count else 0.0
        failed_height = max(failed / highest * 100, 4.0) if failed else 0.0
        yield Bar(start, end, count, failed, height, failed_height, counted_to is None or start >= counted_to)


def _width(start: datetime, end: datetime) -> int:
    seconds = max((end - start).total_seconds(), 1)
    return next((width for width in WIDTHS if seconds / width <= BUCKETS), WIDTHS[-1] * 10)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
