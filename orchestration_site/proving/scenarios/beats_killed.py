"""One beat of several is killed again and again while schedules fire every second; embedded, the whole system is."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.schedules import (
    find_outcome,
    promises_of_times,
    schedule_every_second,
    sleep_until,
    tell_progress,
    until_all_have_ended,
)
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Verdict, few_repeated, none_failed, promises_of_all


@dataclass(frozen=True, kw_only=True)
class BeatsKilled(Scenario):
    """`concurrency` is how many executions a worker runs at once."""

    name: ClassVar = "beats-killed"
    shows: ClassVar = "One of three beats is killed again and again: every second of each schedule fires, and once."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED, RABBITMQ})

    beats: int = 3
    schedules: int = 5
    seconds: int = 120
    kill_every: float = 20.0
    workers: int = 1
    concurrency: int = 20
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(self.workers, MAX_CONCURRENT_EXECUTIONS=self.concurrency)
        if trial.target != EMBEDDED:
            for _ in range(self.beats):
                trial.stack.add_beat()
        scheduled = await schedule_every_second(trial, schedules=self.schedules, seconds=self.seconds)
        async with trial.beside(tell_progress(trial, scheduled)):
            await sleep_until(scheduled[0].begins_at)
            async with trial.beside(self._kill(trial)):
                await sleep_until(scheduled[0].ends_at)
            await until_all_have_ended(trial, scheduled, self.ended_within)
        outcome = await find_outcome(trial, scheduled)
        workers_killed = len(trial.kills) if trial.target == EMBEDDED else 0
        promises = [
            *promises_of_times(outcome),
            *promises_of_all(outcome.findings, within=self.ended_within),
            none_failed(outcome.findings),
            few_repeated(
                outcome.findings, at_most=workers_killed * self.concurrency, why=f"{workers_killed} workers were killed"
            ),
        ]
        return self.verdict(trial, outcome.findings, promises, [outcome.remark])

    async def _kill(self, trial: Trial) -> None:
        """Never at the same point of a second, for that is where beats fire."""
        while True:
            await asyncio.sleep(self.kill_every - trial.rng.random())
            victim = trial.rng.choice(trial.stack.beats or trial.stack.workers)
            victim.kill()
            trial.has_killed(f"{victim.name} killed")
            victim.restart()
