"""A worker is killed at its fullest."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from orchestration_site.proving.processes import Process
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.scenarios.worker_stopped import hold_all_in_second_call
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED, RABBITMQ
from orchestration_site.proving.trial import BLOCKS, Trial
from orchestration_site.proving.verdict import Promise, Verdict, none_failed, promises_of_all


@dataclass(frozen=True, kw_only=True)
class WorkerKilledFull(Scenario):
    """All `executions` run on the worker that is killed, in the middle of their second call."""

    name: ClassVar = "worker-killed-full"
    shows: ClassVar = "A worker is killed with 50 running: another resumes all, calling only what had no result."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED, RABBITMQ})

    executions: int = 50
    resumed_within: float = 45.0
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        (victim,) = await trial.run_workers(1)
        await trial.deploy()
        async with trial.progress():
            await hold_all_in_second_call(trial, self.executions, victim)
            if trial.target != EMBEDDED:
                await trial.add_workers(1)
            victim.kill()
            trial.has_killed(f"{victim.name} killed with {self.executions} running")
            await self._resume(trial, victim)
            trial.provider.hold()
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        wanted = {step: 2 if step == 2 else 1 for step in range(1, BLOCKS + 1)}
        wrong = [record for record in findings.records if trial.provider.calls_of(record.marker) != wanted]
        late = [pause for pause in findings.recoveries if pause > self.resumed_within]
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            Promise("each calls again only what had no result", not wrong, f"{len(wrong)} called otherwise"),
            Promise(f"all are resumed within {self.resumed_within:g} s", not late, f"{len(late)} later"),
        ]
        return self.verdict(trial, findings, promises)

    async def _resume(self, trial: Trial, victim: Process) -> None:
        if trial.target == EMBEDDED:
            victim.restart()
            await asyncio.to_thread(trial.stack.wait_for, victim)
        await trial.until(
            lambda: len([call for call in trial.provider.in_flight() if call.number == 2]) == self.executions,
            what="The second attempt of every execution",
        )
