"""The one process of the embedded system is killed, stopped and asked to stop: short forms of `prove`."""

import pytest

from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.scenarios.call_hangs import CallHangs, DeadlinePasses
from orchestration_site.proving.scenarios.drained import Drained
from orchestration_site.proving.scenarios.poison import DrainedOften, Poison
from orchestration_site.proving.scenarios.worker_killed import WorkerKilled
from orchestration_site.proving.scenarios.worker_killed_full import WorkerKilledFull
from orchestration_site.proving.scenarios.worker_stopped import Asleep
from orchestration_site.proving.stack import Stack
from orchestration_site.proving.tests.trying import expect_kept

pytestmark = pytest.mark.durability


def test_the_whole_process_is_killed_again_and_again_under_load(embedded: Stack, provider: ScriptedProvider) -> None:
    verdict = expect_kept(WorkerKilled(executions=80, per_second=8, kill_every=3, kills=2), embedded, provider)
    assert verdict.kills >= 2


def test_killed_with_executions_running_it_resumes_them_all(embedded: Stack, provider: ScriptedProvider) -> None:
    expect_kept(WorkerKilledFull(executions=20), embedded, provider)


def test_asleep_past_its_lease_it_goes_on_where_it_was(embedded: Stack, provider: ScriptedProvider) -> None:
    expect_kept(Asleep(executions=10, asleep_seconds=7), embedded, provider)


def test_an_execution_that_kills_the_process_harms_no_other(embedded: Stack, provider: ScriptedProvider) -> None:
    expect_kept(Poison(executions=8, neighbours=4, call_seconds=0.5), embedded, provider)


def test_a_call_that_hangs_ends_in_a_timeout_and_frees_its_slot(embedded: Stack, provider: ScriptedProvider) -> None:
    expect_kept(CallHangs(timeout_seconds=3, concurrency=2, behind=4), embedded, provider)


def test_so_does_an_execution_whose_deadline_passes(embedded: Stack, provider: ScriptedProvider) -> None:
    expect_kept(DeadlinePasses(timeout_seconds=8, concurrency=2, behind=4), embedded, provider)


def test_asked_to_stop_under_load_it_fails_nothing(embedded: Stack, provider: ScriptedProvider) -> None:
    verdict = expect_kept(Drained(executions=40, per_second=5, kill_every=2, kills=2), embedded, provider)
    assert verdict.kills >= 2


def test_a_drain_is_no_loss(embedded: Stack, provider: ScriptedProvider) -> None:
    expect_kept(DrainedOften(drains=2), embedded, provider)
