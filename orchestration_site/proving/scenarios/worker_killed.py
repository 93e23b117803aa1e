"""A random worker is killed every few seconds while calls come in; embedded, the whole system is."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Self

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Verdict, few_repeated, none_failed, promises_of_all


@dataclass(frozen=True, kw_only=True)
class WorkerKilled(Scenario):
    """`concurrency` is how many executions a worker runs at once; the load goes on until there were so many `kills`."""

    name: ClassVar = "worker-killed"
    shows: ClassVar = "Workers are killed at random under load: nothing is lost, doubled or stuck."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED, RABBITMQ})
    judges_remote: ClassVar = True

    executions: int = 2_000
    kill_every: float = 5.0
    kills: int = 0
    per_second: float = 30.0
    workers: int = 3
    concurrency: int = 100
    ended_within: float = 60.0

    @classmethod
    def full(cls, target: str) -> Self:
        # One process is the web server, too: it takes fewer calls a second, and none while it starts again.
        return cls(executions=500, per_second=10.0) if target == EMBEDDED else cls()

    async def run(self, trial: Trial) -> Verdict:
        if trial.is_private:
            await trial.run_workers(self.workers, MAX_CONCURRENT_EXECUTIONS=self.concurrency)
        await trial.deploy()
        async with trial.progress():
            markers = trial.markers_until(self.kills if trial.is_private else 0, at_least=self.executions)
            async with trial.beside(self._kill(trial)):
                await trial.offer(markers, per_second=self.per_second)
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        why = f"{len(trial.kills)} kills of {self.concurrency} executions each"
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=len(trial.kills) * self.concurrency, why=why),
        ]
        return self.verdict(trial, findings, promises)

    async def _kill(self, trial: Trial) -> None:
        """What was killed is there again before the next kill, or nothing would ever run where a start takes long."""
        while True:
            await asyncio.sleep(self.kill_every)
            if not trial.is_private:
                await trial.run_kill_command()
                await trial.client.read("/readyz")
                continue
            worker = trial.rng.choice(trial.stack.workers)
            worker.kill()
            trial.has_killed(f"{worker.name} killed")
            worker.restart()
            if len(trial.stack.workers) == 1:
                await asyncio.to_thread(trial.stack.wait_for, worker)
