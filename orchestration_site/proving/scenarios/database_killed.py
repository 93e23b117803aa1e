"""PostgreSQL is killed under load: again and again for moments, or once for long."""

import asyncio
import signal
import time
from dataclasses import dataclass
from typing import ClassVar

from deployments.executions.writer import PATIENCE
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, none_failed, promises_of_all

WAIT_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class DatabaseKilled(Scenario):
    """`away_seconds` pass before it is started again; how long it then takes is its own affair.

    Every third caller waits for its result.
    """

    name: ClassVar = "database-killed"
    shows: ClassVar = "PostgreSQL is killed and started again under load: 503 with Retry-After meanwhile, nothing lost."
    targets: ClassVar = frozenset({DISTRIBUTED, RABBITMQ})

    executions: int = 500
    times: int = 5
    away_seconds: float = 3.0
    kill_every: float = 10.0
    workers: int = 2
    concurrency: int = 100
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(self.workers, MAX_CONCURRENT_EXECUTIONS=self.concurrency)
        await trial.deploy()
        seconds = self.times * (self.kill_every + self.away_seconds)
        outages: list[float] = []
        async with trial.progress():
            killing = asyncio.create_task(self._kill(trial, outages))
            await self._offer(trial, self.executions / seconds)
            await killing
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        given_up = sum(outage > trial.lease_seconds * PATIENCE for outage in outages)
        why = f"{given_up} outages outlasted the patience of {trial.lease_seconds * PATIENCE:.3g} s"
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=given_up * self.workers * self.concurrency, why=why),
            *_promises_of_answers(trial),
        ]
        remark = f"away for {max(outages):.1f} s at most; {trial.offered.answers[503]} answers were 503"
        return self.verdict(trial, findings, promises, [remark])

    async def _offer(self, trial: Trial, per_second: float) -> None:
        markers = trial.markers(self.executions)
        waiting, others = markers[::3], [marker for place, marker in enumerate(markers) if place % 3]
        async with asyncio.TaskGroup() as callers:
            callers.create_task(trial.offer(waiting, per_second=per_second / 3, wait_seconds=WAIT_SECONDS))
            callers.create_task(trial.offer(others, per_second=per_second * 2 / 3))

    async def _kill(self, trial: Trial, outages: list[float]) -> None:
        postgres = trial.stack.servers.postgres
        for _ in range(self.times):
            await asyncio.sleep(self.kill_every)
            number = trial.rng.choice((signal.SIGKILL, signal.SIGQUIT))
            began = time.monotonic()
            await asyncio.to_thread(postgres.crash, number)
            trial.has_killed(f"PostgreSQL stopped by {number.name}")
            await asyncio.sleep(self.away_seconds)
            await asyncio.to_thread(postgres.start)
            outages.append(time.monotonic() - began)
            trial.say(f"PostgreSQL is back after {outages[-1]:.1f} s")


@dataclass(frozen=True, kw_only=True)
class DatabaseAway(DatabaseKilled):
    """For longer than commits are repeated: what ran is given up, and resumed when its lease is over."""

    name: ClassVar = "database-away"
    shows: ClassVar = "PostgreSQL is away for longer than a lease under load: nothing lost, and nothing fails."

    times: int = 1
    away_seconds: float = 45.0


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
