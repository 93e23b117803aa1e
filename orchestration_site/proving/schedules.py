"""Schedules of a trial: their times are known beforehand, so that each of them can be asked for afterwards."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration_site.proving.client import SiteClient
from orchestration_site.proving.findings import Findings, read_records
from orchestration_site.proving.trial import POLL_SECONDS, PROGRESS_SECONDS, Trial, chain
from orchestration_site.proving.verdict import Promise, percentile

#: The times begin so long after the schedules were asked for, so that all are in force by then.
STARTS_IN_SECONDS = 2


@dataclass(frozen=True)
class Scheduled:
    """A deployment whose schedule has exactly these times. The provider knows its calls by the marker."""

    deployment_id: str
    marker: str
    times: tuple[datetime, ...] = ()

    @property
    def begins_at(self) -> datetime:
        return self.times[0]

    @property
    def ends_at(self) -> datetime:
        return self.times[-1]


@dataclass(frozen=True)
class Fired:
    """The row of a scheduled time, as lists show it."""

    execution_id: str
    scheduled_for: datetime
    created_at: datetime
    status: str
    reason: str | None

    @classmethod
    def read(cls, row: dict[str, Any]) -> "Fired":
        scheduled_for, created_at = (datetime.fromisoformat(row[name]) for name in ("scheduled_for", "created_at"))
        return cls(row["execution_id"], scheduled_for, created_at, row["status"], row["reason"])

    @property
    def lateness(self) -> float:
        """In seconds."""
        return (self.created_at - self.scheduled_for).total_seconds()

    @property
    def is_skipped(self) -> bool:
        return self.status == "skipped"


@dataclass(frozen=True)
class Outcome:
    """What became of some schedules: their rows, and what was found of them as of any execution."""

    scheduled: tuple[Scheduled, ...]
    fired: tuple[tuple[Fired, ...], ...]
    findings: Findings

    @property
    def skipped(self) -> list[Fired]:
        return [row for rows in self.fired for row in rows if row.is_skipped]

    @property
    def remark(self) -> str:
        """How late the times were fired that ran."""
        lateness = [row.lateness for rows in self.fired for row in rows if not row.is_skipped]
        spread = f"p50 {percentile(lateness, 50):.3f} s, max {max(lateness, default=0):.3f} s"
        return f"{len(self.scheduled)} schedules; fired late by {spread}"


async def deploy_unscheduled(trial: Trial) -> Scheduled:
    """A deployment of one block, without a schedule so far."""
    [marker] = trial.markers(1)
    trial.deployment_id = await trial.client.deploy(chain(1, trial.model, {}), f"scheduled-{marker}")
    return Scheduled(trial.deployment_id, marker)


async def schedule(trial: Trial, deployed: Scheduled, **fields: Any) -> None:
    """Give it this schedule, with the input that its design asks for."""
    await trial.client.schedule(deployed.deployment_id, {**fields, "input_data": {"marker": deployed.marker}})


async def schedule_every_second(trial: Trial, *, schedules: int, seconds: int) -> list[Scheduled]:
    """So many schedules, each with a time every second, for so many seconds and from soon on.

    Raises `TimeoutError` when the system takes them so slowly that the first time has come before.
    """
    began = datetime.now(UTC)
    deployed = [await deploy_unscheduled(trial) for _ in range(schedules)]
    now = datetime.now(UTC)
    # Storing their schedules takes about as long as storing them did.
    start = (now + timedelta(seconds=STARTS_IN_SECONDS) + (now - began)).replace(microsecond=0)
    # The grid hangs on the start, which is no time of its own; the end is.
    times = tuple(start + timedelta(seconds=second) for second in range(1, seconds + 1))
    bounds = {"start_at": start.isoformat(), "end_at": times[-1].isoformat()}
    for each in deployed:
        await schedule(trial, each, interval_seconds=1, overlap="allow", **bounds)
    if datetime.now(UTC) >= times[0]:
        raise TimeoutError(f"That {schedules} schedules are stored")
    return [replace(each, times=times) for each in deployed]


async def sleep_until(moment: datetime) -> None:
    """By this machine's clock."""
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


async def rows_of(client: SiteClient, scheduled: Scheduled) -> tuple[Fired, ...]:
    """The rows of its scheduled times, in their order."""
    rows = [Fired.read(row) for row in await client.rows(scheduled.deployment_id) if row["scheduled_for"]]
    return tuple(sorted(rows, key=lambda row: row.scheduled_for))


async def until_all_have_ended(trial: Trial, scheduled: Sequence[Scheduled], within: float) -> None:
    """Until each time has a row that has ended, so many seconds at most."""
    give_up_at = time.monotonic() + within
    for each in scheduled:
        while time.monotonic() < give_up_at and not await _have_ended(trial, each):  # noqa: ASYNC110 - others say when
            await asyncio.sleep(POLL_SECONDS)


async def _have_ended(trial: Trial, scheduled: Scheduled) -> bool:
    if await trial.client.unfinished(scheduled.deployment_id):
        return False
    return {row.scheduled_for for row in await rows_of(trial.client, scheduled)} >= set(scheduled.times)


async def find_outcome(trial: Trial, scheduled: Sequence[Scheduled]) -> Outcome:
    """All that can be found out about these schedules' times."""
    fired = [await rows_of(trial.client, each) for each in scheduled]
    ids = [row.execution_id for rows in fired for row in rows]
    records, unknown = await read_records(trial.client, ids)
    missing = [
        moment.isoformat() for each, rows in zip(scheduled, fired, strict=True) for moment in _missing(each, rows)
    ]
    repeated = unannounced = 0
    for each in scheduled:
        calls = sum(trial.provider.calls_of(each.marker).values())
        own = [record for record in records if record.marker == each.marker]
        repeated += max(0, calls - sum(record.status == "completed" for record in own))
        announced = sum(record.announced.total() for record in own)
        unannounced += max(0, calls - announced)
    findings = Findings(
        accepted=sum(len(each.times) for each in scheduled),
        records=tuple(sorted(records, key=lambda record: record.created_at)),
        lost=(*unknown, *missing),
        strangers=tuple(
            row.execution_id for each, rows in zip(scheduled, fired, strict=True) for row in _odd(each, rows)
        ),
        counted_as_ended=sum([await trial.client.ended_count(each.deployment_id) for each in scheduled]),
        repeated_calls=repeated,
        unannounced_calls=unannounced,
    )
    return Outcome(tuple(scheduled), tuple(fired), findings)


def promises_of_times(outcome: Outcome) -> tuple[Promise, ...]:
    """What holds of every schedule in force whose scheduler was never away for long."""
    findings, skipped = outcome.findings, outcome.skipped
    reasons = ", ".join(sorted({str(row.reason) for row in skipped}))
    return (
        Promise("every scheduled time has its row", not findings.lost, f"{len(findings.lost)} have none"),
        Promise("no time has two, and none was made up", not findings.strangers, f"{len(findings.strangers)} more"),
        Promise("no time is skipped", not skipped, f"{len(skipped)} are: {reasons}"),
    )


async def tell_progress(trial: Trial, scheduled: Sequence[Scheduled]) -> None:
    """Say every few seconds how far it has come, for ever."""
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        now = datetime.now(UTC)
        due = sum(moment <= now for each in scheduled for moment in each.times)
        calls, _ = trial.provider.total()
        trial.say(f"scheduled times {due:,} · model calls {calls:,}")


def _missing(scheduled: Scheduled, rows: Sequence[Fired]) -> list[datetime]:
    return sorted(set(scheduled.times) - {row.scheduled_for for row in rows})


def _odd(scheduled: Scheduled, rows: Sequence[Fired]) -> list[Fired]:
    """Rows of times that the schedule does not have, and the second ones of those that it has."""
    left = set(scheduled.times)
    odd: list[Fired] = []
    for row in rows:
        if row.scheduled_for in left:
            left.remove(row.scheduled_for)
        else:
            odd.append(row)
    return odd
