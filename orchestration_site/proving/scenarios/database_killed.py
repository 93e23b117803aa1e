"""PostgreSQL is killed again and again under load."""

import asyncio
import signal
from dataclasses import dataclass
from typing import ClassVar

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, none_failed, promises_of_all


@dataclass(frozen=True, kw_only=True)
class DatabaseKilled(Scenario):
    """Each time it is away for `away_seconds`: less than the part of a lease for which commits are repeated."""

    name: ClassVar = "database-killed"
    shows: ClassVar = "PostgreSQL is killed and started again under load: 503 with Retry-After meanwhile, nothing lost."
    targets: ClassVar = frozenset({DISTRIBUTED, RABBITMQ})

    executions: int = 500
    times: int = 5
    away_seconds: float = 3.0
    kill_every: float = 10.0
    workers: int = 2
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(self.workers)
        await trial.deploy()
        seconds = self.times * (self.kill_every + self.away_seconds)
        async with trial.progress():
            killing = asyncio.create_task(self._kill(trial))
            await trial.offer(trial.markers(self.executions), per_second=self.executions / seconds)
            await killing
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=0, why="no worker was killed"),
            *_promises_of_answers(trial),
        ]
        refused = trial.offered.answers[503]
        return self.verdict(trial, findings, promises, [f"{refused} calls were answered with 503 and repeated"])

    async def _kill(self, trial: Trial) -> None:
        postgres = trial.stack.servers.postgres
        for _ in range(self.times):
            await asyncio.sleep(self.kill_every)
            number = trial.rng.choice((signal.SIGKILL, signal.SIGQUIT))
            await asyncio.to_thread(postgres.crash, number)
            trial.has_killed(f"PostgreSQL stopped by {number.name}")
            await asyncio.sleep(self.away_seconds)
            await asyncio.to_thread(postgres.start)
            trial.say("PostgreSQL is back")


def _promises_of_answers(trial: Trial) -> list[Promise]:
    offered = trial.offered
    errors = dict(offered.server_errors)
    silent = offered.without_retry_after
    return [
        Promise("no call is refused for good", not offered.refused, "; ".join(offered.refused[:3]) or "none"),
        Promise("no answer is a 5xx but 503", not errors, f"others: {errors or 'none'}"),
        Promise("every 503 says when to try again", silent == 0, f"{silent} did not"),
        Promise("every call is answered", offered.answers[0] == 0, f"{offered.answers[0]} were not"),
    ]
