"""Executions that take their workers with them, and one whose workers are only asked to stop."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from deployments.executions.lifecycle import MAX_LOSSES
from orchestration_site.proving.findings import Record
from orchestration_site.proving.processes import Process
from orchestration_site.proving.provider import ModelCall
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED, RABBITMQ
from orchestration_site.proving.trial import BLOCKS, Trial
from orchestration_site.proving.verdict import Promise, Verdict, promises_of_all


@dataclass
class _Deadly:
    """Kills the worker that makes a call, when it is one of `doses`: so many times for that marker and step."""

    trial: Trial
    doses: dict[tuple[str, int], int]
    killed: list[str] = field(default_factory=list)

    def taste(self, call: ModelCall) -> None:
        """To be told of every call, on the provider's thread: the worker is gone before it gets an answer."""
        if call.number > self.doses.get((call.marker, call.step), 0):
            return
        for worker in self.trial.stack.workers:
            if worker.name == call.caller and worker.running.poll() is None:
                worker.kill()
                self.killed.append(worker.name)

    async def replace_the_dead(self) -> None:
        """Start every worker that was killed again."""
        while True:
            for worker in self.trial.stack.workers:
                if worker.running.poll() is not None:
                    self.trial.has_killed(f"{worker.name} killed by what it ran")
                    worker.restart()
            await asyncio.sleep(0.1)


@dataclass(frozen=True, kw_only=True)
class Poison(Scenario):
    """`neighbours` are in the middle of a call when it comes; `executions` others come and go.

    A second one, alone afterwards, kills its worker as often as one may before each of its first two results.
    """

    name: ClassVar = "poison"
    shows: ClassVar = "An execution kills its worker each time: it fails after 3 losses, and harms no other."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED, RABBITMQ})

    executions: int = 100
    per_second: float = 2.0
    neighbours: int = 20
    call_seconds: float = 1.0
    workers: int = 2
    ended_within: float = 180.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(self.workers)
        await trial.deploy()
        (poison, survivor), neighbours = trial.markers(2), trial.markers(self.neighbours)
        deadly = _Deadly(trial, {(poison, 1): 1_000, (survivor, 1): MAX_LOSSES - 1, (survivor, 2): MAX_LOSSES - 1})
        trial.provider.latency = self.call_seconds
        trial.provider.on_call = deadly.taste
        async with trial.progress(), trial.beside(deadly.replace_the_dead()):
            await trial.offer([*neighbours, poison], per_second=self.neighbours / self.call_seconds)
            await trial.offer(trial.markers(self.executions), per_second=self.per_second)
            await trial.until_ended(self.ended_within)
            await trial.offer([survivor], per_second=1)
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        records = {record.marker: record for record in findings.records}
        harmed = [each for marker, each in records.items() if marker != poison and each.status != "completed"]
        calls = trial.provider.calls_of(poison)
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            _fails_as_it_should(records[poison]),
            Promise(f"it is tried exactly {MAX_LOSSES} times", calls == {1: MAX_LOSSES}, f"{calls}"),
            _survives(records[survivor]),
            Promise("no other is harmed", not harmed, f"{len(harmed)} did not complete"),
        ]
        return self.verdict(trial, findings, promises)


@dataclass(frozen=True, kw_only=True)
class DrainedOften(Scenario):
    """One long call, whose worker is told to stop with hardly any grace, and then lost as often as one may be."""

    name: ClassVar = "drained-often"
    shows: ClassVar = "An execution outlasts the grace of its workers, and then loses two more: a drain is no loss."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED, RABBITMQ})

    drains: int = 3
    resumed_within: float = 15.0
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        (worker,) = await trial.run_workers(1, DRAIN_SECONDS=0.5)
        await trial.deploy()
        (marker,) = trial.markers(1)
        trial.provider.hold(2)
        losses = MAX_LOSSES - 1
        async with trial.progress():
            await trial.offer([marker], per_second=1)
            await self._until_called(trial, marker, 1)
            pauses = [await self._replace(trial, worker, marker, worker.stop) for _ in range(self.drains)]
            for _ in range(losses):
                await self._replace(trial, worker, marker, worker.kill)
            trial.provider.hold()
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        (record,) = findings.records
        wanted = {step: 1 + self.drains + losses if step == 2 else 1 for step in range(1, BLOCKS + 1)}
        calls = trial.provider.calls_of(marker)
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            Promise("it completes", record.status == "completed", f"{record.status} {record.error_code or ''}"),
            Promise("each worker calls only what had no result", calls == wanted, f"{calls}"),
            Promise(
                f"what is given back is resumed within {self.resumed_within:g} s, not after the lease",
                max(pauses) <= self.resumed_within,
                f"{max(pauses):.1f} s",
            ),
        ]
        return self.verdict(trial, findings, promises)

    async def _replace(self, trial: Trial, worker: Process, marker: str, end: Callable[[], object]) -> float:
        """End the worker and start it again; the seconds until it has made the call once more."""
        times = trial.provider.calls_of(marker)[2]
        await asyncio.to_thread(end)
        ended_at = time.monotonic()
        trial.has_killed(f"{worker.name} {'asked to stop' if end == worker.stop else 'killed'}")
        worker.restart()
        await asyncio.to_thread(trial.stack.wait_for, worker)
        await self._until_called(trial, marker, times + 1)
        return time.monotonic() - ended_at

    async def _until_called(self, trial: Trial, marker: str, times: int) -> None:
        await trial.until(
            lambda: trial.provider.calls_of(marker).get(2) == times and bool(trial.provider.in_flight()),
            what=f"Call number {times}",
        )


def _fails_as_it_should(record: Record) -> Promise:
    seen = (record.status, record.error_code, record.attempt)
    return Promise("it ends in failed(worker_lost)", seen == ("failed", "worker_lost", MAX_LOSSES), f"{seen}")


def _survives(record: Record) -> Promise:
    seen = (record.status, record.attempt)
    wanted = ("completed", 1 + 2 * (MAX_LOSSES - 1))
    return Promise("a recorded result starts the count again", seen == wanted, f"{seen}")
