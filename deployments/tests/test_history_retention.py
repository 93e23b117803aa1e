"""What retention removes, what it leaves, and what is said of it afterwards."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from access.models import AuditRecord
from deployments.deploying import DeploymentChanges, update_deployment
from deployments.executions.rerunning import RerunRefused, rerun_execution
from deployments.executions.reused import ParentGone, Rerun
from deployments.models import (
    AlertDelivery,
    DailyCharge,
    DailyUse,
    Deployment,
    ExecutionEvent,
    ExecutionLog,
    IdempotencyKey,
    RetentionTally,
)
from deployments.retention import removing
from deployments.retention.cutoffs import Scope
from deployments.retention.policy import RetentionFields
from deployments.retention.preview import Removable, count_removable
from deployments.retention.sweep import RetentionSweep, record_days
from deployments.tests.builders import make_alert, make_deployment, make_ended, make_queued, make_schedule, make_version
from executor.json_types import JsonObject
from executor.reuse import Reuse

pytestmark = [pytest.mark.django_db, pytest.mark.either_database]


def days_ago(days: float) -> Any:
    return timezone.now() - timedelta(days=days)


def ended(deployment: Deployment, days: float, *, events: int = 2, **fields: Any) -> ExecutionLog:
    """An execution of that age with its input, its result and its journal."""
    values = {"input_data": {"text": "in"}, "result_data": {"output": "out"}, "cost": "0.5"} | fields
    execution = make_ended(deployment, at=days_ago(days), seq=events, **values)
    ExecutionEvent.objects.bulk_create(
        ExecutionEvent(execution=execution, seq=seq, type="agent.started", payload={"a": seq}, at=execution.created_at)
        for seq in range(1, events + 1)
    )
    return execution


def sweep() -> int:
    return RetentionSweep().run(seconds=60)


def left(deployment: Deployment) -> dict[float, str]:
    """What is there still, by its age in days: `whole`, or `row` without its payload."""
    rows = ExecutionLog.objects.filter(deployment=deployment)
    return {
        round((timezone.now() - row.created_at) / timedelta(days=1), 1): "row" if row.payload_removed_at else "whole"
        for row in rows
    }


def test_by_default_nothing_goes() -> None:
    deployment = make_deployment()
    ended(deployment, 4_000)
    ended(deployment, 3_000)
    assert sweep() == 0
    assert left(deployment) == {4000: "whole", 3000: "whole"}


def test_payloads_go_before_rows_each_by_its_age() -> None:
    deployment = make_deployment(keep_payload_days=10, keep_history_days=30)
    for days in (31, 29, 11, 9, 2):
        ended(deployment, days)
    assert sweep() == 4  # the oldest one loses its payload, and then goes
    assert left(deployment) == {29: "row", 11: "row", 9: "whole", 2: "whole"}
    row = ExecutionLog.objects.get(created_at__lt=days_ago(28))
    assert (row.input_data, row.result_data, row.events.count()) == ({}, None, 0)
    assert (row.seq, str(row.cost), row.status) == (2, "0.500000000", "completed")
    assert row.payload_removed_in_words == f"by retention on {timezone.now():%Y-%m-%d}, after 10 days"


def test_what_is_beyond_the_last_ones_goes_however_young_but_not_within_a_day() -> None:
    deployment = make_deployment(keep_payload_last=3, keep_history_last=4)
    for days in (0.5, 0.6, 0.7, 0.8, 0.9, 2, 3, 4):
        ended(deployment, days)
    sweep()
    assert left(deployment) == {0.5: "whole", 0.6: "whole", 0.7: "whole", 0.8: "whole", 0.9: "whole"}
    Deployment.objects.update(keep_history_last=0)
    for days in (2, 3):
        ended(deployment, days)
    sweep()
    assert left(deployment)[2] == left(deployment)[3] == "row"
    assert ExecutionLog.objects.filter(payload_removed_why="after 3 newer ones").count() == 2


def test_the_sites_periods_hold_where_a_deployment_has_none_and_for_drafts_by_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = settings.ENVIRONMENT.model_copy(update={"keep_history_days": 10, "keep_history_last": 1})
    monkeypatch.setattr(settings, "ENVIRONMENT", site)
    by_site = make_deployment("site")
    for_ever = make_deployment("ever", version=by_site.version, keep_history_days=0, keep_history_last=0)
    for deployment in (by_site, for_ever):
        for days in (11, 5, 3):
            ended(deployment, days)
    for days in (11, 9, 8):
        ExecutionLog.objects.filter(id=ended(by_site, days).id).update(deployment=None)
    sweep()
    assert left(by_site) == {3: "whole"}
    assert left(for_ever) == {11: "whole", 5: "whole", 3: "whole"}
    assert ExecutionLog.objects.filter(deployment=None).count() == 2


def test_the_latest_success_stays_whole_however_old() -> None:
    deployment = make_deployment(keep_payload_days=1, keep_history_days=2)
    ended(deployment, 90)
    ended(deployment, 80)
    ended(deployment, 70, status="failed")
    sweep()
    assert left(deployment) == {80: "whole"}


def test_what_has_not_ended_stays() -> None:
    deployment = make_deployment(keep_payload_days=1, keep_history_days=1)
    queued = make_queued(deployment, input_data={"text": "in"})
    ExecutionLog.objects.filter(id=queued.id).update(created_at=days_ago(50))
    sweep()
    queued.refresh_from_db()
    assert (queued.status, queued.input_data, queued.payload_removed_at) == ("queued", {"text": "in"}, None)
    assert queued.events.count() == 1


def test_what_is_not_settled_stays_and_the_days_use_does_not_change() -> None:
    deployment = make_deployment(keep_payload_days=1, keep_history_days=1)
    ended(deployment, 3)
    unsettled, settled = ended(deployment, 9), ended(deployment, 8)
    use = DailyUse.objects.create(owner_id=deployment.id, day=days_ago(8).date(), tokens=7, nano_usd=9)
    DailyCharge.objects.create(execution=unsettled, attempt=1, day=use.day)
    sweep()
    assert ExecutionLog.objects.get(id=unsettled.id).payload_removed_at is None
    assert not ExecutionLog.objects.filter(id=settled.id).exists()
    use.refresh_from_db()
    assert (use.tokens, use.nano_usd) == (7, 9)


def test_a_rerun_stays_when_its_parent_goes_and_holds_it_only_while_it_is_on_its_way() -> None:
    deployment = make_deployment(keep_history_days=5)
    ended(deployment, 1)
    parent, other = ended(deployment, 9), ended(deployment, 8)
    done = ended(deployment, 2, parent=other)
    open_rerun = make_queued(deployment)
    ExecutionLog.objects.filter(id=open_rerun.id).update(parent=parent)
    sweep()
    assert ExecutionLog.objects.filter(id=parent.id).exists()
    assert not ExecutionLog.objects.filter(id=other.id).exists()
    done.refresh_from_db()
    assert (done.parent_id, done.events.count()) == (None, 2)


def test_what_a_schedule_counts_its_failures_by_stays() -> None:
    deployment = make_deployment(keep_history_days=2)
    schedule = make_schedule(deployment, pause_after_failures=2)
    for days in (9, 8, 7):
        at = days_ago(days)
        ended(deployment, days, status="failed", schedule=schedule, scheduled_for=at, trigger_type="scheduled")
    ended(deployment, 6, status="failed")
    sweep()
    assert left(deployment) == {8: "whole", 7: "whole"}


def test_spent_idempotency_keys_go_with_their_execution() -> None:
    deployment = make_deployment(keep_history_days=2)
    ended(deployment, 1)
    old = ended(deployment, 3)
    IdempotencyKey.objects.create(
        principal="key:a", deployment=deployment, key="k", body_hash="0", execution=old, expires_at=days_ago(2)
    )
    sweep()
    assert IdempotencyKey.objects.count() == 0


def test_a_large_history_goes_in_many_batches_and_none_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "LOOKED_AT", 3)
    monkeypatch.setattr(removing, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(removing, "EVENTS_AT_ONCE", 5)
    deployment = make_deployment(keep_payload_days=3, keep_history_days=20)
    same = days_ago(15)
    for number in range(11):
        execution = ended(deployment, 30 - number, events=1 + number % 7)
        if number < 5:
            ExecutionLog.objects.filter(id=execution.id).update(created_at=same)
    ended(deployment, 1)
    sweep()
    rows = ExecutionLog.objects.filter(deployment=deployment, created_at__lt=days_ago(3))
    assert rows.count() == 5  # those of one moment
    assert not rows.filter(payload_removed_at=None).exists()
    assert ExecutionEvent.objects.filter(execution__in=rows).count() == 0


def test_one_sweep_ends_when_its_time_is_over_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "ROWS_AT_ONCE", 1)
    deployment = make_deployment(keep_history_days=3)
    for days in (9, 8, 7, 1):
        ended(deployment, days)
    retention = RetentionSweep()
    assert retention.run(seconds=0) == 0
    assert not retention.is_done
    assert retention.run(seconds=60) == 3
    assert retention.is_done


def test_a_period_that_is_lengthened_keeps_from_then_on_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "ROWS_AT_ONCE", 1)
    deployment = make_deployment(keep_history_days=10)
    for days in (14, 13, 12, 11, 1):
        ended(deployment, days)
    steps = 0

    def lengthen(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == 2:
            Deployment.objects.update(keep_history_days=0)

    RetentionSweep().run(seconds=60, progress=lengthen)
    assert left(deployment) == {12: "whole", 11: "whole", 1: "whole"}


def test_a_history_that_cannot_be_removed_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, other = make_deployment("a", keep_history_days=10), make_deployment("b", keep_history_days=10)
    for deployment in (broken, other):
        ended(deployment, 11)
        ended(deployment, 1)
    remove = removing.Walk._remove

    def fail(walk: removing.Walk, ids: Any) -> int | None:
        if walk.scope.deployment_id == broken.id:
            raise RuntimeError("This one is broken.")
        return remove(walk, ids)

    monkeypatch.setattr(removing.Walk, "_remove", fail)
    one = RetentionSweep()
    for _ in range(3):
        with suppress(RuntimeError):
            one.run(seconds=60)
    assert (left(broken), left(other)) == ({11: "whole", 1: "whole"}, {1: "whole"})


@pytest.mark.parametrize("fields", [{"keep_payload_days": 10}, {"keep_history_days": 10}])
def test_what_alerts_were_told_of_results_goes_with_them(fields: dict[str, Any]) -> None:
    deployment = make_deployment(**fields)
    old, new = ended(deployment, 11), ended(deployment, 1)
    target = make_alert(deployment)
    told: JsonObject = {"type": "x", "data": {"result": "secret", "result_left_out": False, "cost": "1"}}
    for execution in (old, new):
        AlertDelivery.objects.create(
            target=target, event="x", payload=told, execution_id=execution.id, created_at=execution.created_at
        )
    assert sweep() == 1
    payloads = dict(AlertDelivery.objects.values_list("execution_id", "payload"))
    assert payloads[old.id]["data"] == {"result": None, "result_left_out": True, "cost": "1"}
    assert payloads[new.id] == told


def test_a_step_that_fails_leaves_no_execution_half_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = make_deployment(keep_payload_days=3)
    ended(deployment, 9)
    ended(deployment, 1)

    def fail(*_: object) -> None:
        raise RuntimeError("the power is out")

    monkeypatch.setattr(removing, "_tally", fail)
    with pytest.raises(RuntimeError):
        sweep()
    assert left(deployment)[9] == "whole"
    assert ExecutionEvent.objects.count() == 4


def test_the_audit_says_once_for_each_day_how_many_went() -> None:
    deployment = make_deployment(keep_payload_days=3, keep_history_days=8)
    for days in (9, 7, 6, 1):
        ended(deployment, days)
    sweep()
    today = timezone.now()
    assert not AuditRecord.objects.filter(action="history.removed").exists()
    assert record_days(now=today + timedelta(days=1)) == 1
    assert record_days(now=today + timedelta(days=1)) == 0
    record = AuditRecord.objects.get(action="history.removed")
    assert record.details == {"day": f"{today:%Y-%m-%d}", "payloads": 3, "executions": 1}
    assert (record.actor, record.object_id, record.team) == ("system", str(deployment.id), deployment.team)
    assert record.object_label == "/api/deployed/greet"
    assert not RetentionTally.objects.exists()


def test_the_preview_counts_what_the_sweep_then_removes() -> None:
    deployment = make_deployment()
    for days in (40, 35, 20, 15, 5, 1):
        ended(deployment, days)
    fields = RetentionFields(keep_payload_days=10, keep_history_days=30)
    assert count_removable(Scope.of(deployment, fields), now=timezone.now()) == Removable(payloads=2, executions=2)
    assert count_removable(Scope.of(deployment), now=timezone.now()) == Removable(0, 0)
    update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(retention=fields), by="user:test")
    sweep()
    assert left(deployment) == {20: "row", 15: "row", 5: "whole", 1: "whole"}
    saved = Deployment.objects.get(id=deployment.id)
    assert count_removable(Scope.of(saved), now=timezone.now()) == Removable(0, 0)


def test_a_rerun_of_what_has_no_payload_says_what_to_do() -> None:
    deployment = make_deployment(keep_payload_days=3)
    gone = ended(deployment, 9)
    ended(deployment, 1)
    sweep()
    with pytest.raises(
        RerunRefused, match=r"removed by retention on .*, after 3 days, .* Run it from start"
    ) as refused:
        rerun_execution(parent_id=gone.id, start_from="failed", by="user:test", input_data={"text": "new"})
    assert refused.value.code == "results-gone"
    with pytest.raises(RerunRefused, match="Send the input to run it with as input_data") as refused:
        rerun_execution(parent_id=gone.id, start_from="start", by="user:test")
    assert refused.value.code == "input-gone"
    started = rerun_execution(parent_id=gone.id, start_from="start", by="user:test", input_data={"text": "new"})
    assert (started.execution.parent_id, started.execution.input_data) == (gone.id, {"text": "new"})


def test_a_rerun_that_is_being_accepted_does_not_take_over_what_is_just_removed() -> None:
    deployment = make_deployment()
    parent = ended(deployment, 9)
    ExecutionLog.objects.filter(id=parent.id).update(payload_removed_at=timezone.now())
    with pytest.raises(ParentGone, match="removed in the meantime"):
        Rerun(parent.id, "failed", Reuse(frozenset(), frozenset())).hold_parent()


def test_the_command_says_what_would_go_and_then_removes_it(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("retain")
    assert "Everything is kept for ever. Set KEEP_PAYLOAD_DAYS" in capsys.readouterr().out
    deployment = make_deployment(version=make_version(), keep_payload_days=3, keep_history_days=8)
    for days in (9, 7, 6, 1):
        ended(deployment, days)
    call_command("retain", dry_run=True)
    said = "/api/deployed/greet: 1 executions would go whole, and of 2 others input, result and events."
    assert capsys.readouterr().out.strip() == said
    assert left(deployment) == {9: "whole", 7: "whole", 6: "whole", 1: "whole"}
    call_command("retain")
    assert capsys.readouterr().out.strip() == "1 executions and 3 payloads removed."
    assert left(deployment) == {7: "row", 6: "row", 1: "whole"}
