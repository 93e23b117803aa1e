"""An upgrade in place from the previous release, under load: what was accepted before and meanwhile ends well."""

import asyncio
import shutil
import subprocess

import pytest

from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.processes import HERE, Installation, run_manage
from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.stack import DISTRIBUTED, DistributedStack, run_servers, run_stack
from orchestration_site.proving.tests.conftest import SHORT
from orchestration_site.proving.tests.trying import expect_kept
from orchestration_site.proving.tests.upgraded import Upgraded
from orchestration_site.proving.trial import Trial
from orchestration_site.tests.previous_release import extract_previous_release

pytestmark = pytest.mark.durability

LOCKED = "requirements.txt"
#: What a worker runs at most, so that one that is killed repeats no more calls.
CONCURRENCY = {"MAX_CONCURRENT_EXECUTIONS": 8}
#: So long the two releases are beside each other, in each of three ways.
SECONDS_BESIDE = 1.5


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The previous release, ready to be started. Of its pages nothing is asked here: it gets those of this one."""
    folder = tmp_path_factory.mktemp("previous")
    extract_previous_release(folder)
    shutil.copytree(BASE_DIR / "frontend/dist", folder / "frontend/dist")
    if (folder / LOCKED).read_bytes() == (BASE_DIR / LOCKED).read_bytes():
        return Installation(folder, HERE.programs)
    command = [str(folder / ".ci/install"), ".venv", LOCKED, str(HERE.programs / "python")]
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603 - our own words
    return Installation(folder, folder / ".venv/bin")


def test_everything_is_replaced_by_the_next_release_under_load(
    previous: Installation, provider: ScriptedProvider
) -> None:
    """The tables, then web, workers and beats one by one. Of the old workers one is drained and one is killed."""
    with (
        run_servers(DISTRIBUTED, durable=False) as servers,
        run_stack(servers, provider.base_url, previous, **SHORT) as stack,
    ):
        assert isinstance(stack, DistributedStack)
        for _ in range(2):
            stack.wait_for(stack.add_worker(**CONCURRENCY))
            stack.add_beat()
        scenario = Upgraded(
            replace=lambda trial: replace_processes(trial, stack),
            list_workers=lambda: run_manage(stack.env, "workers"),
            at_most=8,
        )
        verdict = expect_kept(scenario, stack, provider)
        assert verdict.kills == 1
        run_manage(stack.env, "verify_audit")


async def replace_processes(trial: Trial, stack: DistributedStack) -> list[int]:
    """Each by one of this release; how those ended that were told to stop."""
    (drained, killed), (first, second) = stack.workers, stack.beats
    stack.installation = HERE
    await asyncio.to_thread(run_manage, stack.env, "setup")
    trial.say("migrated; the previous release goes on")
    await asyncio.sleep(SECONDS_BESIDE)
    await asyncio.to_thread(stack.start_web)
    trial.say("the web server is of this release; workers and beats are not")
    await asyncio.sleep(SECONDS_BESIDE)
    stack.add_beat()
    await trial.add_workers(1, **CONCURRENCY)
    statuses = [await asyncio.to_thread(process.stop) for process in (first, drained)]
    trial.say("of workers and beats there is one of each release")
    await asyncio.sleep(SECONDS_BESIDE)
    killed.kill()
    trial.has_killed(f"{killed.name} killed")
    stack.add_beat()
    await trial.add_workers(1, **CONCURRENCY)
    return [*statuses, await asyncio.to_thread(second.stop)]
