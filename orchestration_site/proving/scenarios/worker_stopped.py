"""A worker stands still for longer than its lease, and then goes on as if nothing had been."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestration_site.proving.findings import Record
from orchestration_site.proving.processes import Process
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, none_failed, promises_of_all

#: What a worker says when it gives up an execution that is another's by now.
GIVEN_UP = re.compile(r"Execution (\S+) (?:is not this worker's|was left while it ended)")


@dataclass(frozen=True, kw_only=True)
class WorkerStopped(Scenario):
    """All `executions` run on the sleeper, in the middle of their second call.

    It wakes while the other worker waits for their third: the rows are running then, and only the fence tells whose.
    """

    name: ClassVar = "worker-stopped"
    shows: ClassVar = "A worker sleeps (SIGSTOP) past its lease, another takes over: when it wakes it writes nothing."
    targets: ClassVar = frozenset({DISTRIBUTED, RABBITMQ})

    executions: int = 50
    taken_over_within: float = 45.0
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        (sleeper,) = await trial.run_workers(1)
        await trial.deploy()
        async with trial.progress():
            await hold_all_in_second_call(trial, self.executions, sleeper)
            (successor,) = await trial.add_workers(1)
            sleeper.suspend()
            trial.has_killed(f"{sleeper.name} suspended")
            await self._until_called(trial, successor, 2)
            trial.provider.hold(3)  # the second call is answered to both, and the sleeper cannot hear it yet
            await self._until_called(trial, successor, 3)
            before = await trial.records()
            await self._wake(trial, sleeper)
            after = await trial.records()
            trial.provider.hold()
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=self.executions, why="the calls that the sleeper had begun"),
            _nothing_written(before, after),
            _is_well(sleeper),
        ]
        return self.verdict(trial, findings, promises)

    async def _until_called(self, trial: Trial, successor: Process, step: int) -> None:
        await trial.until(
            lambda: [call.step for call in trial.provider.in_flight(successor.name)] == [step] * self.executions,
            what="The other worker's turn",
            within=self.taken_over_within,
        )

    async def _wake(self, trial: Trial, sleeper: Process) -> None:
        """Wake it, and wait until it has given up each of its executions."""
        sleeper.resume()
        trial.say(f"{sleeper.name} woken")
        await trial.until(
            lambda: len(set(GIVEN_UP.findall(sleeper.said()))) >= self.executions, what="The sleeper's giving up"
        )


@dataclass(frozen=True, kw_only=True)
class Asleep(Scenario):
    """The same without a successor, as when a laptop is closed: whoever wakes goes on where it was."""

    name: ClassVar = "asleep"
    shows: ClassVar = "The only worker sleeps (SIGSTOP) past its lease: when it wakes it goes on, and repeats nothing."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED, RABBITMQ})

    executions: int = 50
    asleep_seconds: float = 45.0
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        (sleeper,) = await trial.run_workers(1)
        await trial.deploy()
        async with trial.progress():
            await hold_all_in_second_call(trial, self.executions, sleeper)
            sleeper.suspend()
            trial.has_killed(f"{sleeper.name} suspended")
            trial.provider.hold()
            await asyncio.sleep(self.asleep_seconds)
            sleeper.resume()
            trial.say(f"{sleeper.name} woken")
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=0, why="nobody else has taken over"),
        ]
        return self.verdict(trial, findings, promises)


async def hold_all_in_second_call(trial: Trial, executions: int, worker: Process) -> None:
    """Bring so many executions to the middle of their second call, all on that worker."""
    trial.provider.hold(2)
    await trial.offer(trial.markers(executions), per_second=executions)
    await trial.until(
        lambda: [call.step for call in trial.provider.in_flight(worker.name)] == [2] * executions,
        what="The second call of every execution",
    )


def _nothing_written(before: Sequence[Record], after: Sequence[Record]) -> Promise:
    earlier = {record.execution_id: record for record in before}
    changed = [record for record in after if record != earlier.get(record.execution_id)]
    return Promise("what the sleeper still had is written nowhere", not changed, f"{len(changed)} changed")


def _is_well(sleeper: Process) -> Promise:
    status = sleeper.running.poll()
    return Promise("the sleeper itself is well", status is None, f"it ended with {status}" if status else "it runs on")
