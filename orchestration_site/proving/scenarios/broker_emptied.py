"""All that the broker holds is thrown away while executions are queued."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Verdict, few_repeated, none_failed, promises_of_all


@dataclass(frozen=True, kw_only=True)
class BrokerEmptied(Scenario):
    """`executions` are queued when it happens, and as many more run as the workers can."""

    name: ClassVar = "broker-emptied"
    shows: ClassVar = "The broker loses every message (FLUSHALL, purge) while executions are queued: none is lost."
    targets: ClassVar = frozenset({DISTRIBUTED, RABBITMQ})

    executions: int = 500
    per_second: float = 50.0
    workers: int = 2
    concurrency: int = 20
    ended_within: float = 120.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(self.workers, MAX_CONCURRENT_EXECUTIONS=self.concurrency)
        await trial.deploy()
        running = self.workers * self.concurrency
        async with trial.progress():
            trial.provider.hold(1)
            await trial.offer(trial.markers(self.executions + running), per_second=self.per_second)
            await trial.until(lambda: len(trial.provider.in_flight()) == running, what="The full load")
            await asyncio.to_thread(trial.stack.servers.broker.empty)
            trial.has_killed("the broker emptied")
            trial.provider.hold()
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=0, why="no worker was killed"),
        ]
        return self.verdict(trial, findings, promises)
