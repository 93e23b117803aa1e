"""A model call that never ends."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from executor.json_types import JsonObject
from orchestration_site.proving.findings import Record
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, promises_of_all


@dataclass(frozen=True, kw_only=True)
class CallHangs(Scenario):
    """As many executions hang as the one worker can run; `behind` them others wait for a slot."""

    name: ClassVar = "call-hangs"
    shows: ClassVar = "A call hangs for ever: its execution ends in failed(timeout) soon after, and its slot is free."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED, RABBITMQ})

    behind: int = 8
    concurrency: int = 4
    timeout_seconds: float = 20.0
    late_at_most: float = 10.0
    ended_within: float = 90.0

    @property
    def settings(self) -> JsonObject:
        """How the agents' models are called."""
        return {"timeout_seconds": self.timeout_seconds, "tries": 1}

    @property
    def limits(self) -> dict[str, Any] | None:
        """The limits of the deployment."""
        return None

    @property
    def lead_seconds(self) -> float:
        """How long what hangs has hung when the others come."""
        return 0.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(1, MAX_CONCURRENT_EXECUTIONS=self.concurrency)
        await trial.deploy(settings=self.settings, limits=self.limits)
        hanging = trial.markers(self.concurrency)
        trial.provider.hangs = lambda call: call.marker in hanging and call.step == 1
        async with trial.progress():
            await trial.offer(hanging, per_second=self.concurrency * 2)
            await trial.until(lambda: len(trial.provider.in_flight()) == self.concurrency, what="The hanging calls")
            await asyncio.sleep(self.lead_seconds)
            await trial.offer(trial.markers(self.behind), per_second=self.behind)
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        hung = [record for record in findings.records if record.marker in hanging]
        others = [record for record in findings.records if record.marker not in hanging]
        late = [record for record in hung if self._seconds(record) > self.timeout_seconds + self.late_at_most]
        ends = {(record.status, record.error_code) for record in hung}
        kept_waiting = sum(record.status != "completed" for record in others)
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            few_repeated(findings, at_most=0, why="nothing was killed"),
            Promise("what hangs ends in failed(timeout)", ends == {("failed", "timeout")}, f"{ends}"),
            Promise(f"at most {self.late_at_most:g} s after its time is over", not late, f"{len(late)} later"),
            Promise("its slot is free for those behind it", not kept_waiting, f"{kept_waiting} did not complete"),
        ]
        return self.verdict(trial, findings, promises)

    def _seconds(self, record: Record) -> float:
        """How long after the beginning of what is limited it ended."""
        return (_end(record) - next(line.at for line in record.lines if line.type == "agent.started")).total_seconds()


@dataclass(frozen=True, kw_only=True)
class DeadlinePasses(CallHangs):
    """The call itself may take its time; the execution may not."""

    name: ClassVar = "deadline-passes"
    shows: ClassVar = "A call hangs beyond its execution's deadline: the same."

    @property
    def settings(self) -> JsonObject:
        return {"timeout_seconds": 10 * self.timeout_seconds}

    @property
    def limits(self) -> dict[str, Any] | None:
        return {"deadline_seconds": int(self.timeout_seconds)}

    @property
    def lead_seconds(self) -> float:
        return self.timeout_seconds / 2  # the others have the same deadline, and have to wait for a slot first

    def _seconds(self, record: Record) -> float:
        return (_end(record) - record.created_at).total_seconds()


def _end(record: Record) -> datetime:
    return record.completed_at or datetime.max.replace(tzinfo=record.created_at.tzinfo)
