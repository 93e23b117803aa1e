"""A delivery is written in the transaction of what it tells of, for those that chose it."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from deployments.alerts import tasks
from deployments.alerts.outbox import write_alerts_of_ended, write_schedule_paused
from deployments.executions import lifecycle
from deployments.executions.lifecycle import Ending, Fence
from deployments.executions.publisher import publisher
from deployments.models import AlertDelivery
from deployments.tests.builders import make_alert, make_deployment, make_ended, make_queued, make_told

pytestmark = pytest.mark.django_db


class TestOutbox:
    def test_an_end_and_its_alert_are_one_transaction(self) -> None:
        deployment = make_deployment()
        make_alert(deployment, events=["execution.cancelled"])
        execution = make_queued(deployment)
        with transaction.atomic():
            lifecycle.request_cancel(execution_id=execution.id, by="user:alice")
            assert AlertDelivery.objects.count() == 1
            transaction.set_rollback(True)
        assert AlertDelivery.objects.count() == 0
        execution.refresh_from_db()
        assert execution.status == "queued"

    @pytest.mark.parametrize("way", ["cancel", "undeploy", "fail_queued", "reap"])
    def test_every_way_to_end_without_a_worker_alerts(self, way: str) -> None:
        deployment = make_deployment()
        make_alert(deployment, events=["execution.failed", "execution.cancelled"])
        late = {"deadline_at": timezone.now() - timedelta(seconds=1)} if way == "reap" else {}
        execution = make_queued(deployment, **late)
        ways: dict[str, Callable[[], object]] = {
            "cancel": lambda: lifecycle.request_cancel(execution_id=execution.id, by="user:alice"),
            "undeploy": lambda: lifecycle.cancel_queued_of_deployment(deployment_id=deployment.id, by="user:alice"),
            "fail_queued": lambda: lifecycle.fail_queued(execution.id, 0, code="internal_error", message="Broken."),
            "reap": lifecycle.reap,
        }
        ways[way]()
        delivery = AlertDelivery.objects.get()
        assert delivery.execution_id == execution.id
        assert delivery.event == ("execution.cancelled" if way in ("cancel", "undeploy") else "execution.failed")

    def test_a_target_is_told_of_what_it_chose_and_of_its_own_deployment_alone(self) -> None:
        deployment, other = make_deployment(), make_deployment("other")
        chosen = make_alert(deployment)
        make_alert(deployment, events=["execution.completed"])
        make_alert(deployment, enabled=False)
        make_alert(deployment, deleted_at=timezone.now())
        others = make_alert(other)
        make_told(deployment)
        assert [each.target_id for each in AlertDelivery.objects.all()] == [chosen.id]
        # Two that end in one transaction, as workers write them.
        both = [make_ended(each, at=timezone.now(), status="failed") for each in (deployment, other)]
        AlertDelivery.objects.all().delete()
        write_alerts_of_ended({each.id: each.deployment_id for each in both if each.deployment_id})
        told = {(each.target_id, each.execution_id) for each in AlertDelivery.objects.all()}
        assert told == {(chosen.id, both[0].id), (others.id, both[1].id)}

    def test_a_payload_says_what_happened_and_shows_neither_input_nor_result(self) -> None:
        deployment = make_deployment()
        make_alert(deployment)
        execution = make_told(
            deployment,
            input_data={"text": "canary in"},
            result_data={"output": "canary out"},
            error_detail={"block_id": "greet", "agent": "Writer"},
            cost="0.0012",
        )
        payload = AlertDelivery.objects.get().payload
        assert payload["type"] == "execution.failed"
        assert payload["timestamp"].endswith("Z")
        data = payload["data"]
        assert (data["execution_id"], data["status"]) == (str(execution.id), "failed")
        assert (data["error_code"], data["error"], data["cost"]) == ("timeout", "It took too long.", "0.0012")
        assert (data["block_id"], data["agent"]) == ("greet", "Writer")
        assert data["url"].endswith(f"/executions/{execution.id}")
        assert "canary" not in str(payload)

    @pytest.mark.parametrize(("output", "told"), [("canary", "canary"), ("x" * 20_000, None)])
    def test_a_result_is_told_where_it_is_asked_for_unless_it_is_long(self, output: str, told: str | None) -> None:
        deployment = make_deployment()
        make_alert(deployment, events=["execution.completed"], includes_result=True)
        make_told(deployment, status="completed", result_data={"output": output})
        data = AlertDelivery.objects.get().payload["data"]
        assert (data["result"], data["result_left_out"]) == (told, told is None)

    def test_an_exhausted_budget_is_told_once_a_day(self) -> None:
        deployment = make_deployment()
        make_alert(deployment, events=["budget.exhausted"])
        for _ in range(3):
            make_told(deployment, error_code="daily_budget_exceeded")
        make_told(deployment)
        assert [each.event for each in AlertDelivery.objects.all()] == ["budget.exhausted"]
        with time_machine.travel(timezone.now() + timedelta(days=1)):
            make_told(deployment, error_code="daily_budget_exceeded")
        assert AlertDelivery.objects.count() == 2

    def test_a_schedule_that_paused_itself_is_told(self) -> None:
        deployment = make_deployment()
        make_alert(deployment)
        make_alert(deployment, events=["schedule.paused"])
        write_schedule_paused(deployment, reason="The last 3 executions failed.", at=timezone.now())
        delivery = AlertDelivery.objects.get()
        assert delivery.payload["data"]["reason"] == "The last 3 executions failed."

    def test_the_workers_are_told_once_it_is_committed(
        self, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr(publisher, "_hand_over", lambda task, arguments, on_behalf: told.append(task))
        deployment = make_deployment()
        with django_capture_on_commit_callbacks(execute=True):
            make_told(deployment)
        assert told == [], "nobody is alerted"
        make_alert(deployment)
        with django_capture_on_commit_callbacks(execute=True):
            make_told(deployment)
            assert told == []
        assert told == ["deployments.send_alerts"]

    def test_the_message_lets_the_worker_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looked: list[str] = []
        worker = SimpleNamespace(send_alerts=lambda: looked.append("once"))
        monkeypatch.setattr(tasks, "current_worker", lambda: worker)
        tasks.send_alerts.apply()
        assert looked == ["once"]

    def test_a_worker_that_ends_an_execution_alerts(self) -> None:
        deployment = make_deployment()
        make_alert(deployment)
        execution = make_queued(deployment)
        fence = Fence(execution.id, 1, "worker-a")
        with transaction.atomic():
            lifecycle.claim({fence: 2}, started_at=timezone.now())
            ending = Ending(status="failed", completed_at=timezone.now(), duration_ms=5, error="No.", error_code="x")
            assert lifecycle.finish({fence: (3, ending)})
            lifecycle.count_ended([lifecycle.Ended(execution.id, deployment.id, ending.completed_at)])
        assert AlertDelivery.objects.get().payload["data"]["error"] == "No."
