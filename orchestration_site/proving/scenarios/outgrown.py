"""Workers outgrow what memory they may have, under load, and start anew."""

import asyncio
import re
from dataclasses import dataclass
from typing import ClassVar

from orchestration_site.proving.processes import Process
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, none_failed, promises_of_all

#: Less than any worker takes: each outgrows it with the first execution that it ends.
LEAST_MEMORY_MB = 64
OUTGROWN = re.compile(r"and WORKER_MAX_MEMORY_MB allows")
LOOKS_EVERY = 0.1


@dataclass(frozen=True, kw_only=True)
class Outgrown(Scenario):
    """The load goes on until workers have started anew so often (`kills`)."""

    name: ClassVar = "outgrown"
    shows: ClassVar = "Workers outgrow WORKER_MAX_MEMORY_MB under load: fresh ones go on, and nothing fails or repeats."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED, RABBITMQ})

    executions: int = 200
    per_second: float = 10.0
    kills: int = 5
    workers: int = 2
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        workers = await trial.run_workers(self.workers, worker_max_memory_mb=LEAST_MEMORY_MB)
        ids = [worker.running.pid for worker in workers]
        await trial.deploy()
        async with trial.progress(), trial.beside(self._note_each(trial, workers)):
            await trial.offer(trial.markers_until(self.kills, at_least=self.executions), per_second=self.per_second)
            await trial.until(lambda: len(trial.kills) >= self.kills, what="The workers' starting anew")
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        again = [record for record in findings.records if record.attempt > 1]
        gone = [worker.name for worker in workers if worker.running.poll() is not None]
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=0, why="each ends within the grace"),
            Promise("none has to be taken up by another", not again, f"{len(again)} were"),
            Promise("each worker goes on under its process id", not gone, f"{ids}; ended: {gone or 'none'}"),
        ]
        return self.verdict(trial, findings, promises)

    async def _note_each(self, trial: Trial, workers: list[Process]) -> None:
        while True:
            for _ in range(sum(len(OUTGROWN.findall(worker.said())) for worker in workers) - len(trial.kills)):
                trial.has_killed("a worker outgrew its memory")
            await asyncio.sleep(LOOKS_EVERY)
