"""The broker goes away, or hangs, while calls arrive; it comes back empty."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import (
    Promise,
    Verdict,
    few_repeated,
    none_failed,
    percentile,
    promises_of_all,
)


@dataclass(frozen=True, kw_only=True)
class BrokerAway(Scenario):
    """The calls arrive over the whole time that it is away; `p95_at_most` is of their answers, in seconds."""

    name: ClassVar = "broker-away"
    shows: ClassVar = "The broker is killed while calls arrive: all are answered with 202 at once, and done soon after."
    targets: ClassVar = frozenset({DISTRIBUTED, RABBITMQ})

    executions: int = 500
    away_seconds: float = 60.0
    p95_at_most: float = 1.0
    workers: int = 2
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(self.workers)
        await trial.deploy()
        async with trial.progress():
            await self.take_away(trial)
            back = asyncio.create_task(self._bring_back_later(trial))
            await trial.offer(trial.markers(self.executions), per_second=self.executions / self.away_seconds)
            await back
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            few_repeated(findings, at_most=0, why="no worker was killed"),
            *self._promises_of_answers(trial),
        ]
        return self.verdict(trial, findings, promises)

    async def take_away(self, trial: Trial) -> None:
        """Kill it."""
        await asyncio.to_thread(trial.stack.servers.broker.crash)
        trial.has_killed("the broker killed")

    async def bring_back(self, trial: Trial) -> None:
        """Start it again, with nothing in it that was not on its disk."""
        await asyncio.to_thread(trial.stack.servers.broker.start)

    async def _bring_back_later(self, trial: Trial) -> None:
        await asyncio.sleep(self.away_seconds)
        await self.bring_back(trial)
        trial.say("the broker is back")

    def _promises_of_answers(self, trial: Trial) -> list[Promise]:
        answers = trial.offered.answers
        odd = {status: count for status, count in answers.items() if status != 202}
        p95 = percentile([accepted.seconds for accepted in trial.offered.accepted.values()], 95)
        return [
            Promise("every call is answered with 202", not odd, f"others: {odd or 'none'}"),
            Promise(f"95 % are answered within {self.p95_at_most:g} s", p95 <= self.p95_at_most, f"{p95:.2f} s"),
        ]


@dataclass(frozen=True, kw_only=True)
class BrokerHangs(BrokerAway):
    """A broker that takes connections and says nothing is worse than one that is gone."""

    name: ClassVar = "broker-hangs"
    shows: ClassVar = "The broker stands still (SIGSTOP) while calls arrive: all are answered with 202 at once."

    async def take_away(self, trial: Trial) -> None:
        trial.stack.servers.broker.suspend()
        trial.has_killed("the broker suspended")

    async def bring_back(self, trial: Trial) -> None:
        trial.stack.servers.broker.resume()
