"""An upgrade in place from the previous release, under load: what was accepted before and meanwhile ends well."""

import asyncio
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.processes import HERE, Installation, Process, run_manage
from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.schedules import (
    find_outcome,
    promises_of_times,
    schedule_every_second,
    sleep_until,
    until_all_have_ended,
)
from orchestration_site.proving.stack import DISTRIBUTED, DistributedStack, run_servers, run_stack
from orchestration_site.proving.tests.conftest import SHORT
from orchestration_site.proving.tests.trying import expect_kept
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict, few_repeated, none_failed, promises_of_all
from orchestration_site.settings import RELEASE
from orchestration_site.tests.previous_release import (
    PREVIOUS_RELEASE,
    PreviousReleaseMissing,
    extract_previous_release,
)

pytestmark = pytest.mark.durability

LOCKED = "requirements.txt"
#: What the worker that is killed runs at most.
CONCURRENCY = 8


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The previous release, ready to be started. Of its pages nothing is asked here: it gets those of this one."""
    folder = tmp_path_factory.mktemp("previous")
    try:
        extract_previous_release(folder)
    except PreviousReleaseMissing as missing:
        pytest.skip(str(missing))
    shutil.copytree(BASE_DIR / "frontend/dist", folder / "frontend/dist")
    if (folder / LOCKED).read_bytes() == (BASE_DIR / LOCKED).read_bytes():
        return Installation(folder, HERE.programs)
    command = [str(folder / ".ci/install"), ".venv", LOCKED, str(HERE.programs / "python")]
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603 - our own words
    return Installation(folder, folder / ".venv/bin")


@dataclass(frozen=True, kw_only=True)
class Upgraded(Scenario):
    """The tables, then web, workers and beats one by one. Of the old workers one is drained and one is killed."""

    name: ClassVar = "upgraded"
    shows: ClassVar = "Everything is replaced by the next release under load: nothing is lost, no time fires twice."
    targets: ClassVar = frozenset({DISTRIBUTED})

    executions: int = 60
    per_second: float = 4.0
    seconds: int = 18
    beside_each_other: float = 1.5
    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        stack = trial.stack
        assert isinstance(stack, DistributedStack)
        workers = await trial.run_workers(2, MAX_CONCURRENT_EXECUTIONS=CONCURRENCY)
        beats = [stack.add_beat(), stack.add_beat()]
        scheduled = await schedule_every_second(trial, schedules=2, seconds=self.seconds)
        await trial.deploy()
        async with asyncio.TaskGroup() as load:
            load.create_task(trial.offer(trial.markers(self.executions), per_second=self.per_second))
            await sleep_until(scheduled[0].times[2])
            before = await _ended(trial)
            statuses = await self._upgrade(trial, stack, workers, beats)
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
                few_repeated(own, at_most=CONCURRENCY, why="one worker was killed"),
                Promise(
                    "nothing is answered with a fault", not trial.offered.server_errors, f"{trial.offered.answers}"
                ),
                *promises_of_times(outcome),
                none_failed(outcome.findings),
                Promise("what ended before reads as it did", bool(before) and not changed, f"{len(before)}: {changed}"),
                Promise("what is told to stop ends by itself", not any(statuses), f"{statuses}"),
                _runs_this_release(stack),
            ],
        )

    async def _upgrade(
        self, trial: Trial, stack: DistributedStack, workers: Sequence[Process], beats: Sequence[Process]
    ) -> list[int]:
        """As `docker compose up` does it; how those ended that were told to stop."""
        stack.installation = HERE
        await asyncio.to_thread(run_manage, stack.env, "setup")
        trial.say("migrated; the previous release goes on")
        await asyncio.sleep(self.beside_each_other)
        await asyncio.to_thread(stack.start_web)
        trial.say("the web server is of this release; workers and beats are not")
        await asyncio.sleep(self.beside_each_other)
        drained, killed = workers
        stack.add_beat()
        await trial.add_workers(1, MAX_CONCURRENT_EXECUTIONS=CONCURRENCY)
        statuses = [await asyncio.to_thread(process.stop) for process in (beats[0], drained)]
        trial.say("of workers and beats there is one of each release")
        await asyncio.sleep(self.beside_each_other)
        killed.kill()
        trial.has_killed(f"{killed.name} killed")
        stack.add_beat()
        await trial.add_workers(1, MAX_CONCURRENT_EXECUTIONS=CONCURRENCY)
        return [*statuses, await asyncio.to_thread(beats[1].stop)]


async def _ended(trial: Trial) -> list[dict[str, Any]]:
    """Executions of the trial that have ended, as the site shows them."""
    ids = [each.execution_id for each in trial.offered.accepted.values()]
    shown = [(await trial.client.read(f"/api/executions/{each}")).body for each in ids]
    return [each for each in shown if each["status"] == "completed"]


async def _is_as_it_was(trial: Trial, before: Mapping[str, Any]) -> bool:
    """Whether the site shows of the execution what it did, and perhaps more."""
    now = (await trial.client.read(f"/api/executions/{before['execution_id']}")).body
    return before == {name: now.get(name) for name in before}


def _runs_this_release(stack: DistributedStack) -> Promise:
    listed = run_manage(stack.env, "workers").splitlines()[1:]
    alive = [line for line in listed if " stopped " not in line and " lost " not in line]
    return Promise(
        "the workers that are alive are of this release",
        len(alive) == 2 and all(f" {RELEASE} " in line for line in alive) and RELEASE != PREVIOUS_RELEASE,
        "\n".join(listed),
    )


def test_everything_is_replaced_by_the_next_release_under_load(
    previous: Installation, provider: ScriptedProvider
) -> None:
    with (
        run_servers(DISTRIBUTED, durable=False) as servers,
        run_stack(servers, provider.base_url, previous, **SHORT) as stack,
    ):
        verdict = expect_kept(Upgraded(), stack, provider)
        assert verdict.kills == 1
        run_manage(stack.env, "verify_audit")
