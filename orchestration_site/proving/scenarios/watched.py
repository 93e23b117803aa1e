"""Hundreds of sockets watch a few executions while the channel layer is restarted."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.stack import DISTRIBUTED, RABBITMQ
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, none_failed, promises_of_all
from orchestration_site.proving.viewers import Viewers, ViewersReport


@dataclass(frozen=True, kw_only=True)
class Watched(Scenario):
    """Each socket connects again where it is cut off, as a page does; `blocks` is how long an execution is."""

    name: ClassVar = "watched"
    shows: ClassVar = "500 sockets watch 25 executions while the channel layer is restarted: no gap and no repetition."
    targets: ClassVar = frozenset({DISTRIBUTED, RABBITMQ})

    executions: int = 25
    sockets: int = 500
    blocks: int = 60
    restarts: int = 3
    away_seconds: float = 2.0
    workers: int = 2
    ended_within: float = 180.0

    async def run(self, trial: Trial) -> Verdict:
        await trial.run_workers(self.workers)
        await trial.deploy(blocks=self.blocks)
        async with trial.progress():
            await trial.offer(trial.markers(self.executions), per_second=self.executions)
            ids = [accepted.execution_id for accepted in trial.offered.accepted.values()]
            async with Viewers(trial.client.base_url, trial.client.key, ids, sockets=self.sockets) as viewers:
                await self._restart_often(trial, viewers)
                report = await viewers.until_all_is_seen(seconds=self.ended_within)
            await trial.until_ended(self.ended_within)
        findings = await trial.find()
        promises = [
            *promises_of_all(findings, within=self.ended_within),
            none_failed(findings),
            *self._promises_of_viewers(report, events=sum(len(record.lines) for record in findings.records)),
        ]
        return self.verdict(trial, findings, promises, [_words_of(report)])

    async def _restart_often(self, trial: Trial, viewers: Viewers) -> None:
        """Each time once every viewer has seen a part more of what it watches: a block is four events."""
        for number in range(1, self.restarts + 1):
            await viewers.until_each_has_seen(number * self.blocks, seconds=self.ended_within)
            await asyncio.to_thread(trial.stack.servers.redis.crash)
            trial.has_killed("the channel layer killed")
            await asyncio.sleep(self.away_seconds)
            await asyncio.to_thread(trial.stack.servers.redis.start)

    def _promises_of_viewers(self, report: ViewersReport, *, events: int) -> list[Promise]:
        each = self.sockets // self.executions
        return [
            Promise("no viewer misses an event", report.gaps == 0, f"{report.gaps} gaps"),
            Promise("no viewer sees an event twice", report.repetitions == 0, f"{report.repetitions} repetitions"),
            Promise("every viewer sees the end", report.unfinished == 0, f"{report.unfinished} did not"),
            Promise(
                "together they see the whole journals",
                report.events == events * each,
                f"{report.events:,} events shown, {events * each:,} recorded for them",
            ),
        ]


def _words_of(report: ViewersReport) -> str:
    late = f"late by p50 {report.lateness_p50:.2f} s, p95 {report.lateness_p95:.2f} s, max {report.lateness_max:.2f} s"
    return f"{report.sockets} sockets, {report.connections} connections, {late}"
