"""Workers on PostgreSQL and Redis are killed, stopped and asked to stop: short forms of `prove`."""

import httpx
import psycopg
import pytest

from deployments.tests.receivers import run_receiver
from deployments.tests.site_api import design_document
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


def test_an_alert_outlives_the_workers_that_were_to_send_it(distributed: Stack) -> None:
    """It was committed while there was none, its message is lost, and the first one is killed while it sends."""
    key = {"Authorization": f"Bearer {distributed.make_key()}"}
    with run_receiver() as receiver, httpx.Client(base_url=distributed.base_url, headers=key, timeout=30) as api:
        design = api.post("/api/designs", json=design_document()).json()
        made = api.post("/api/deployments", json={"design_id": design["id"], "endpoint_path": "alerting"}).json()
        target = {"kind": "webhook", "url": receiver.url("/stall"), "events": ["execution.cancelled"]}
        alerts = f"/api/deployments/{made['id']}/alerts"
        alert = api.post(alerts, json=target).json()
        called = api.post(made["endpoint_path"], json={"text": "Hello."}, headers={"Prefer": "respond-async"}).json()
        assert api.post(f"/api/executions/{called['execution_id']}/cancel").status_code == 202
        distributed.servers.broker.empty()
        sending = distributed.add_worker()
        first = receiver.wait()
        sending.kill()
        distributed.workers.clear()
        receiver.next_statuses.append(200)
        with psycopg.connect(distributed.env["DATABASE_URL"]) as database:  # its claim would be over in a minute
            database.execute("UPDATE deployments_alertdelivery SET next_try_at = now()")
        distributed.add_worker()
        second = receiver.wait()
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        while (shown := api.get(f"{alerts}/{alert['id']}/deliveries").json()["results"])[0]["status"] != "delivered":
            pass
        assert [each["id"] for each in shown] == [first.headers["webhook-id"]]
        distributed.end_workers()
