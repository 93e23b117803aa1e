"""Schedules that fire on a running system, over a socket: what the beat makes, the workers run and the logs show."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deployments.tests.site_api import Deployed, SiteApi

EVERY_SECOND = {"interval_seconds": 1, "overlap": "allow", "input_data": {"text": "By itself."}}
#: Times of a schedule that never comes while a test runs.
YEARLY = {"cron_expression": "0 0 1 1 *", "input_data": {"text": "Happy New Year."}}
PATIENCE_SECONDS = 30.0
#: So soon an edit is in force, whatever beat runs: it looks each second, and a busy machine takes its time.
IN_FORCE_WITHIN = timedelta(seconds=10)


@pytest.fixture
def deployed(api: SiteApi) -> Iterator[Deployed]:
    """A deployment whose schedule goes with the test: others share the site."""
    deployed = api.deploy()
    yield deployed
    deployed.change(schedule=None)


@pytest.fixture
def clock(api: SiteApi) -> Iterator[Deployed]:
    """A deployment that runs every second: by it, a test knows that the beat has looked."""
    clock = api.deploy()
    clock.change(schedule=EVERY_SECOND)
    yield clock
    clock.change(schedule=None)


def scheduled_rows(deployed: Deployed) -> list[dict[str, Any]]:
    """The rows of its scheduled times, in their order."""
    rows = [row for row in deployed.executions() if row["trigger_type"] == "scheduled"]
    return sorted(rows, key=lambda row: str(row["scheduled_for"]))


def until(deployed: Deployed, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The rows of its scheduled times, as soon as they are as they should be."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not holds(rows := scheduled_rows(deployed)):
        assert time.monotonic() < give_up_at, rows
        time.sleep(0.05)
    return rows


def let_the_beat_look(clock: Deployed) -> None:
    """Until it has fired a time that comes after now, and with it whatever else was due."""
    now = datetime.now(UTC)
    until(clock, lambda rows: any(moment(row["scheduled_for"]) > now for row in rows))


def moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


def test_design_deploy_execute_schedule_fires_logs(api: SiteApi, deployed: Deployed) -> None:
    called = deployed.call({"text": "By hand."})
    assert called.status_code == 200, called.text
    deployed.change(schedule=EVERY_SECOND)
    rows = until(deployed, lambda rows: sum(row["status"] == "completed" for row in rows) >= 2)
    first, second = (moment(row["scheduled_for"]) for row in rows[:2])
    assert second - first == timedelta(seconds=1)
    assert first.microsecond == 0
    log = api.http.get(f"/api/executions/{rows[0]['execution_id']}").json()
    assert (log["trigger_type"], log["triggered_by"], log["status"]) == ("scheduled", "schedule", "completed")
    assert log["input_data"] == {"text": "By itself."}
    assert log["result_data"]
    assert [event["type"] for event in log["events"]][:2] == ["execution.accepted", "execution.started"]
    assert log["events"][-1]["type"] == "execution.completed"
    assert {row["trigger_type"] for row in deployed.executions()} == {"api", "scheduled"}
    deployed.change(schedule=None)
    counted = api.http.get(f"/api/deployments/{deployed.id}").json()["execution_count"]
    assert counted >= 3


def test_an_edit_is_in_force_soon_and_fires_nothing_itself(deployed: Deployed) -> None:
    """Nothing else wakes the beat: it has to look by itself."""
    deployed.change(schedule=YEARLY)
    began = datetime.now(UTC)
    deployed.change(schedule=EVERY_SECOND)
    answered = datetime.now(UTC)
    [first, *_] = until(deployed, bool)
    assert began < moment(first["scheduled_for"]) <= answered + timedelta(seconds=1), "the first time after the edit"
    assert datetime.now(UTC) - answered < IN_FORCE_WITHIN


def test_edits_again_and_again_fire_nothing(deployed: Deployed, clock: Deployed) -> None:
    """Beat's own scheduler takes an entry that has never run, or whose crontab was changed, for one that is due."""
    deployed.change(schedule=EVERY_SECOND)
    until(deployed, bool)
    deployed.change(schedule=YEARLY)
    over = datetime.now(UTC)
    before = over - timedelta(minutes=2)
    deployed.change(schedule=YEARLY | {"cron_expression": f"{before.minute} {before.hour} * * *"})
    let_the_beat_look(clock)
    daily = {"interval_seconds": 86_400, "start_at": before.isoformat()}
    deployed.change(schedule=daily | {"input_data": YEARLY["input_data"]})
    let_the_beat_look(clock)
    assert all(moment(row["scheduled_for"]) <= over for row in scheduled_rows(deployed))


def test_a_time_that_is_skipped_stands_in_the_history_with_its_reason(api: SiteApi) -> None:
    slow = api.deploy("openai:latency-60000")
    slow.change(schedule=EVERY_SECOND | {"overlap": "skip"})
    try:
        rows = until(slow, lambda rows: any(row["status"] == "skipped" for row in rows))
        [skipped, *_] = [row for row in rows if row["status"] == "skipped"]
        assert skipped["reason"] == "overlap"
        shown = api.http.get(f"/api/executions/{skipped['execution_id']}").json()
        assert [(event["type"], event["payload"]) for event in shown["events"]] == [
            ("execution.skipped", {"reason": "overlap"})
        ]
        listed = api.http.get(f"/api/executions?deployment_id={slow.id}&status=skipped").json()["results"]
        assert skipped["execution_id"] in {row["execution_id"] for row in listed}
    finally:
        slow.change(schedule=None)
        for row in scheduled_rows(slow):
            api.http.post(f"/api/executions/{row['execution_id']}/cancel")
