"""The broker delivers every message again and again: late, and out of order."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from celery import Celery

from deployments.executions.publisher import RUN_EXECUTION
from orchestration_site.proving.findings import Record
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, none_failed, promises_of_all

#: An execution that nothing happens to has one attempt; messages that name others are too early or too late.
ATTEMPTS = (0, 1, 2)


@dataclass(frozen=True, kw_only=True)
class MessagesRepeated(Scenario):
    """Each message comes `times` times for each number that it may name: before, while and after its execution runs."""

    name: ClassVar = "messages-repeated"
    shows: ClassVar = "Every message comes five times, late and out of order: nothing changes."
    targets: ClassVar = frozenset({DISTRIBUTED, RABBITMQ})

    executions: int = 200
    times: int = 5
    per_second: float = 20.0
    workers: int = 2
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(self.workers)
        await trial.deploy()
        async with trial.progress():
            async with trial.beside(self._repeat_while_running(trial)):
                await trial.offer(trial.markers(self.executions), per_second=self.per_second)
                await trial.until_ended(self.ended_within)
            before = await trial.find()
            await self._repeat_all(trial)
            findings = await trial.find()
        after = {record.execution_id: record for record in findings.records}
        changed = sum(after[record.execution_id] != record for record in before.records)
        again = _with_attempts(findings.records)
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=0, why="nothing was killed"),
            Promise("no message begins an execution again", not again, f"{len(again)} were"),
            Promise("a message that comes after the end changes nothing", not changed, f"{changed} changed"),
        ]
        return self.verdict(trial, findings, promises)

    async def _repeat_while_running(self, trial: Trial) -> None:
        """Publish, over and over, what was just accepted and what was accepted long ago, in any order."""
        while True:
            ids = [accepted.execution_id for accepted in trial.offered.accepted.values()]
            chosen = trial.rng.sample(ids, min(len(ids), int(self.per_second)))
            await asyncio.to_thread(self._publish, trial, [*ids[-5:], *chosen])
            await asyncio.sleep(0.5)

    async def _repeat_all(self, trial: Trial) -> None:
        """Publish every message once more as often, and wait until the workers have taken them all."""
        ids = [accepted.execution_id for accepted in trial.offered.accepted.values()] * self.times
        trial.rng.shuffle(ids)
        trial.say(f"{len(ids) * len(ATTEMPTS)} messages about what has ended")
        await asyncio.to_thread(self._publish, trial, ids)
        await self._until_taken(trial)
        # What is taken last is looked at within moments; a new execution waits behind it in the same threads.
        await trial.offer(trial.markers(1), per_second=1)
        await trial.until_ended(self.ended_within)

    async def _until_taken(self, trial: Trial) -> None:
        while True:
            if not await asyncio.to_thread(trial.stack.servers.broker.waiting):
                return
            await asyncio.sleep(0.1)

    def _publish(self, trial: Trial, execution_ids: Sequence[str]) -> None:
        messages = [(execution_id, attempt) for execution_id in execution_ids for attempt in ATTEMPTS]
        trial.rng.shuffle(messages)
        publish(trial.stack.servers.broker_url, messages)


def publish(broker_url: str, messages: Iterable[tuple[str, int]]) -> None:
    """Put messages about executions and their attempts into the broker, as the system itself does."""
    app = Celery(broker=broker_url)
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for execution_id, attempt in messages:
            app.send_task(RUN_EXECUTION, args=[execution_id, attempt], producer=producer, ignore_result=True)


def _with_attempts(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.attempt != 1]
