"""Workers on PostgreSQL and Redis are killed, stopped and asked to stop: short forms of `prove`."""

import pytest

from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.scenarios.call_hangs import CallHangs, DeadlinePasses
from orchestration_site.proving.scenarios.drained import Drained
from orchestration_site.proving.scenarios.outgrown import Outgrown
from orchestration_site.proving.scenarios.poison import DrainedOften, Poison
from orchestration_site.proving.scenarios.worker_killed import WorkerKilled
from orchestration_site.proving.scenarios.worker_killed_full import WorkerKilledFull
from orchestration_site.proving.scenarios.worker_stopped import Asleep, WorkerStopped
from orchestration_site.proving.stack import Stack
from orchestration_site.proving.tests.trying import expect_kept

pytestmark = pytest.mark.durability


def test_workers_are_killed_at_random_under_load(distributed: Stack, provider: ScriptedProvider) -> None:
    verdict = expect_kept(
        WorkerKilled(executions=100, per_second=8, kill_every=3, kills=3, workers=2, concurrency=20),
        distributed,
        provider,
    )
    assert verdict.kills >= 3


def test_what_a_full_worker_ran_is_resumed_by_another(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(WorkerKilledFull(), distributed, provider)


def test_a_worker_that_wakes_after_its_lease_writes_nothing(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(WorkerStopped(executions=20), distributed, provider)


def test_one_that_nobody_took_over_from_goes_on_where_it_was(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(Asleep(executions=10, asleep_seconds=7), distributed, provider)


def test_an_execution_that_kills_its_workers_harms_no_other(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(Poison(executions=8, neighbours=4, call_seconds=0.5), distributed, provider)


def test_a_call_that_hangs_ends_in_a_timeout_and_frees_its_slot(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(CallHangs(timeout_seconds=3, concurrency=2, behind=4), distributed, provider)


def test_so_does_an_execution_whose_deadline_passes(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(DeadlinePasses(timeout_seconds=8, concurrency=2, behind=4), distributed, provider)


def test_workers_are_asked_to_stop_under_load(distributed: Stack, provider: ScriptedProvider) -> None:
    verdict = expect_kept(Drained(executions=60, per_second=6, kill_every=1.5, kills=2), distributed, provider)
    assert verdict.kills >= 2


def test_a_drain_is_no_loss(distributed: Stack, provider: ScriptedProvider) -> None:
    expect_kept(DrainedOften(drains=1), distributed, provider)


def test_one_that_outgrows_its_memory_starts_anew_and_fails_nothing(
    distributed: Stack, provider: ScriptedProvider
) -> None:
    expect_kept(Outgrown(executions=10, per_second=5, kills=1, workers=1), distributed, provider)
