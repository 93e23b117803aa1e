"""The broker is away over scheduled times: their rows are there on time, and they run when it is back."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.schedules import (
    find_outcome,
    promises_of_times,
    rows_of,
    schedule_every_second,
    sleep_until,
    tell_progress,
    until_all_have_ended,
)
from orchestration_site.proving.stack import DISTRIBUTED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, none_failed, promises_of_all


@dataclass(frozen=True, kw_only=True)
class BrokerAwayScheduled(Scenario):
    """The broker goes as the first time comes, and is back `away_seconds` later, with all times of that long due."""

    name: ClassVar = "broker-away-scheduled"
    shows: ClassVar = (
        "The broker is away over scheduled times: every time has its row at once, and runs when it is back."
    )
    targets: ClassVar = frozenset({DISTRIBUTED, RABBITMQ})

    schedules: int = 3
    away_seconds: int = 30
    rows_within: float = 5.0
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(1)
        trial.stack.add_beat()
        scheduled = await schedule_every_second(trial, schedules=self.schedules, seconds=self.away_seconds)
        broker = trial.stack.servers.broker
        async with trial.beside(tell_progress(trial, scheduled)):
            await asyncio.to_thread(broker.crash)
            trial.has_killed("the broker killed")
            await sleep_until(scheduled[0].ends_at + timedelta(seconds=self.rows_within))
            stored = [row for each in scheduled for row in await rows_of(trial.client, each)]
            completed = sum(row.status == "completed" for row in stored)
            await asyncio.to_thread(broker.start)
            trial.say(f"the broker is back; {len(stored)} times have their row, {completed} have run")
            await until_all_have_ended(trial, scheduled, self.ended_within)
        outcome = await find_outcome(trial, scheduled)
        times = sum(len(each.times) for each in scheduled)
        promises = [
            Promise(
                "every time had its row while the broker was away", len(stored) == times, f"{len(stored)} of {times}"
            ),
            *promises_of_times(outcome),
            *promises_of_all(outcome.findings, within=self.ended_within),
            none_failed(outcome.findings),
            few_repeated(outcome.findings, at_most=0, why="no worker was killed"),
        ]
        return self.verdict(trial, outcome.findings, promises, [outcome.remark])
