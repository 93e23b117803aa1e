"""Everything is replaced by the next release under load, however that is done: by processes or by containers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.schedules import (
    find_outcome,
    promises_of_times,
    schedule_every_second,
    sleep_until,
    until_all_have_ended,
)
from orchestration_site.proving.stack import DISTRIBUTED
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, none_failed, promises_of_all
from orchestration_site.settings import RELEASE
from orchestration_site.tests.previous_release import PREVIOUS_RELEASE

#: Before the upgrade begins so many times have fired.
FIRED_BEFORE = 3


@dataclass(frozen=True, kw_only=True)
class Upgraded(Scenario):
    """`replace` does it, and says how those processes ended that were told to stop; `list_workers` is the command's.

    `at_most` calls are repeated. The schedules have a time each second, for so many `seconds`.
    """

    name: ClassVar = "upgraded"
    shows: ClassVar = "Everything is replaced by the next release under load: nothing is lost, no time fires twice."
    targets: ClassVar = frozenset({DISTRIBUTED})

    replace: Callable[[Trial], Awaitable[list[int]]]
    list_workers: Callable[[], str]
    workers: int = 2
    at_most: int = 0
    executions: int = 60
    per_second: float = 4.0
    schedules: int = 2
    seconds: int = 18
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        scheduled = await schedule_every_second(trial, schedules=self.schedules, seconds=self.seconds)
        await trial.deploy()
        async with asyncio.TaskGroup() as load:
            load.create_task(trial.offer(trial.markers(self.executions), per_second=self.per_second))
            await sleep_until(scheduled[0].times[FIRED_BEFORE - 1])
            before = await _ended(trial)
            statuses = await self.replace(trial)
        await trial.until_ended(self.ended_within)
        await until_all_have_ended(trial, scheduled, self.ended_within)
        own, outcome = await trial.find(), await find_outcome(trial, scheduled)
        changed = [each["execution_id"] for each in before if not await _is_as_it_was(trial, each)]
        return self.verdict(
            trial,
            own,
            [
                *promises_of_all(own, within=self.ended_within),
                none_failed(own),
                few_repeated(own, at_most=self.at_most, why=f"{len(trial.kills)} workers were killed"),
                Promise(
                    "nothing is answered with a fault", not trial.offered.server_errors, f"{trial.offered.answers}"
                ),
                *promises_of_times(outcome),
                none_failed(outcome.findings),
                Promise("what ended before reads as it did", bool(before) and not changed, f"{len(before)}: {changed}"),
                Promise("what is told to stop ends by itself", not any(statuses), f"{statuses}"),
                await asyncio.to_thread(self._runs_this_release),
            ],
        )

    def _runs_this_release(self) -> Promise:
        listed = self.list_workers().splitlines()[1:]
        alive = [line for line in listed if " stopped " not in line and " lost " not in line]
        kept = len(alive) == self.workers and all(f" {RELEASE} " in line for line in alive)
        seen = "\n".join(listed)
        return Promise("the workers that are alive are of this release", kept and RELEASE != PREVIOUS_RELEASE, seen)


async def _ended(trial: Trial) -> list[dict[str, Any]]:
    """Executions of the trial that have ended, as the site shows them."""
    ids = [each.execution_id for each in trial.offered.accepted.values()]
    shown = [(await trial.client.read(f"/api/executions/{each}")).body for each in ids]
    return [each for each in shown if each["status"] == "completed"]


async def _is_as_it_was(trial: Trial, before: Mapping[str, Any]) -> bool:
    """Whether the site shows of the execution what it did, and perhaps more."""
    now = (await trial.client.read(f"/api/executions/{before['execution_id']}")).body
    return before == {name: now.get(name) for name in before}
