"""Workers are asked to stop, one after the other, under load."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Self

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, none_failed, promises_of_all


@dataclass(frozen=True, kw_only=True)
class Drained(Scenario):
    """Executions take about a second, and a worker's grace (DRAIN_SECONDS) is many times that.

    The load goes on until there were so many `kills`.
    """

    name: ClassVar = "drained"
    shows: ClassVar = "Workers are stopped by SIGTERM under load: no execution fails, and none repeats a call."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED, RABBITMQ})

    executions: int = 500
    per_second: float = 15.0
    kill_every: float = 5.0
    kills: int = 0
    workers: int = 2
    ended_within: float = 60.0

    @classmethod
    def full(cls, target: str) -> Self:
        return cls(executions=200, per_second=5.0) if target == EMBEDDED else cls()

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(self.workers)
        await trial.deploy()
        statuses: list[int] = []
        async with trial.progress():
            markers = trial.markers_until(self.kills, at_least=self.executions)
            async with trial.beside(self._stop_in_turn(trial, statuses)):
                await trial.offer(markers, per_second=self.per_second)
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        unclean = [status for status in statuses if status]
        again = [record for record in findings.records if record.attempt > 1]
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=0, why="each ends within the grace"),
            Promise("none has to be taken up by another", not again, f"{len(again)} were"),
            Promise("every worker ends by itself, with status 0", not unclean, f"others: {unclean or 'none'}"),
        ]
        return self.verdict(trial, findings, promises)

    async def _stop_in_turn(self, trial: Trial, statuses: list[int]) -> None:
        while True:
            for worker in list(trial.stack.workers):
                await asyncio.sleep(self.kill_every)
                trial.has_killed(f"{worker.name} asked to stop")
                statuses.append(await asyncio.to_thread(worker.stop))
                worker.restart()
                await asyncio.to_thread(trial.stack.wait_for, worker)
