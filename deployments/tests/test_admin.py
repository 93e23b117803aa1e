"""The admin: every page opens with a number of queries that does not grow, history is read only, actions act."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime

from access.models import Team
from deployments.keys import make_key
from deployments.models import ApiKey, Deployment, ExecutionEvent, ExecutionLog, IdempotencyKey, ScheduleConfig
from deployments.tests.builders import make_deployment, make_queued, make_schedule, make_version, one_agent_document

pytestmark = pytest.mark.django_db

MODELS = (Deployment, ScheduleConfig, ExecutionLog, ExecutionEvent, IdempotencyKey, ApiKey)
HISTORY = (ExecutionLog, ExecutionEvent, IdempotencyKey)
NAMES = [model._meta.model_name for model in MODELS]


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def make_rows(number: int) -> None:
    """One more row of every model, with everything that the lists show."""
    deployment = make_deployment(f"feed-{number}", version=make_version(one_agent_document(name=f"Design {number}")))
    ScheduleConfig.objects.create(deployment=deployment, interval_seconds=60)
    execution = make_queued(deployment, input_data={"text": "<script>alert(1)</script>"})
    IdempotencyKey.objects.create(
        principal="key:x", deployment=deployment, key=str(number), execution=execution, expires_at=timezone.now()
    )
    make_key(name=f"key {number}", team_id=Team.default().pk, scopes=["read"], deployments=[deployment])


def url_of(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:deployments_{model._meta.model_name}_{page}", args=args)  # type: ignore[attr-defined] # a model


def count_queries(admin: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert admin.get(url).status_code == 200
    return len(queries)


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_a_list_takes_the_same_number_of_queries_however_long_it_is(admin: Client, model: type) -> None:
    make_rows(0)
    url = url_of(model, "changelist")
    count_queries(admin, url)  # content types and the like are cached by it
    short = count_queries(admin, url)
    for number in range(1, 6):
        make_rows(number)
    assert count_queries(admin, url) == short
    assert short <= 10


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_every_row_has_a_page_and_every_list_a_search(admin: Client, model: type) -> None:
    make_rows(0)
    row = model.objects.first()  # type: ignore[attr-defined] # a model
    assert admin.get(url_of(model, "change", row.pk)).status_code == 200
    assert admin.get(url_of(model, "changelist"), {"q": "feed"}).status_code == 200


def test_lists_do_not_read_what_is_large(admin: Client) -> None:
    make_rows(0)
    for model in (Deployment, ExecutionLog, ScheduleConfig):
        with CaptureQueriesContext(connection) as queries:
            admin.get(url_of(model, "changelist"))
        for query in queries:
            assert '"document"' not in query["sql"]
            assert '"draft"' not in query["sql"]
            if model is ExecutionLog:
                assert '"input_data"' not in query["sql"]


@pytest.mark.parametrize("model", HISTORY, ids=[model._meta.model_name for model in HISTORY])
def test_history_is_neither_added_to_nor_changed_nor_deleted(admin: Client, model: type) -> None:
    make_rows(0)
    row = model.objects.first()  # type: ignore[attr-defined] # a model
    assert admin.get(url_of(model, "add")).status_code == 403
    assert admin.post(url_of(model, "change", row.pk), {"status": "completed"}).status_code == 403
    assert admin.post(url_of(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    admin.post(url_of(model, "changelist"), action)
    assert model.objects.filter(pk=row.pk).exists()  # type: ignore[attr-defined] # a model


def test_deployments_and_keys_are_not_made_here(admin: Client) -> None:
    assert admin.get(url_of(Deployment, "add")).status_code == 403
    assert admin.get(url_of(ApiKey, "add")).status_code == 403


def test_what_models_and_callers_wrote_is_escaped(admin: Client) -> None:
    make_rows(0)
    page = admin.get(url_of(ExecutionLog, "change", ExecutionLog.objects.get().pk)).content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page


def test_deployment_execution_and_version_link_to_each_other(admin: Client) -> None:
    make_rows(0)
    deployment, execution = Deployment.objects.get(), ExecutionLog.objects.get()
    version_url = reverse("admin:designs_designversion_change", args=[deployment.version_id])
    of_deployment = admin.get(url_of(Deployment, "change", deployment.pk)).content.decode()
    of_execution = admin.get(url_of(ExecutionLog, "change", execution.pk)).content.decode()
    assert version_url in of_deployment
    assert version_url in of_execution
    assert url_of(Deployment, "change", deployment.pk) in of_execution
    filtered = f"{url_of(ExecutionLog, 'changelist')}?deployment__id__exact={deployment.pk}"
    assert filtered in of_deployment
    assert str(execution.pk) in admin.get(filtered).content.decode()


def run_action(admin: Client, model: type, action: str) -> str:
    """What the page says after the action on all rows."""
    rows = [str(pk) for pk in model.objects.values_list("pk", flat=True)]  # type: ignore[attr-defined] # a model
    answer = admin.post(url_of(model, "changelist"), {"action": action, "_selected_action": rows}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_deployments_are_deactivated_and_activated(admin: Client) -> None:
    make_rows(0)
    run_action(admin, Deployment, "deactivate")
    assert Deployment.objects.values_list("status", "status_reason").get() == (
        "inactive",
        "Set inactive by user:root.",
    )
    Deployment.objects.update(status="error", status_reason="x")
    run_action(admin, Deployment, "activate")
    assert Deployment.objects.values_list("status", "status_reason", "revision").get() == ("active", "", 3)


def test_a_deployment_is_run_now_with_its_schedules_input(admin: Client) -> None:
    make_rows(0)
    ScheduleConfig.objects.update(input_data={"text": "by the clock"})
    ExecutionEvent.objects.all().delete()
    IdempotencyKey.objects.all().delete()
    ExecutionLog.objects.all().delete()
    run_action(admin, Deployment, "run_now")
    execution = ExecutionLog.objects.get()
    assert (execution.trigger_type, execution.triggered_by) == ("manual", "user:root")
    assert execution.input_data == {"text": "by the clock"}


def test_a_run_that_the_input_schema_refuses_is_not_started(admin: Client) -> None:
    document = one_agent_document() | {"input_schema": {"type": "object", "required": ["text"]}}
    make_deployment("strict", version=make_version(document))
    assert "refuses" in run_action(admin, Deployment, "run_now")
    assert not ExecutionLog.objects.exists()


def test_executions_are_cancelled_and_those_that_ended_are_left(admin: Client) -> None:
    make_rows(0)
    assert "1 cancelled" in run_action(admin, ExecutionLog, "cancel")
    assert ExecutionLog.objects.get().status == "cancelled"
    assert "1 had ended already" in run_action(admin, ExecutionLog, "cancel")


@pytest.mark.parametrize(("action", "start_from"), [("rerun_from_start", "start"), ("rerun_failed", "failed")])
def test_executions_are_run_again_and_those_that_still_run_are_left(
    admin: Client, action: str, start_from: str
) -> None:
    make_rows(0)
    assert "still queued" in run_action(admin, ExecutionLog, action)
    run_action(admin, ExecutionLog, "cancel")
    parent = ExecutionLog.objects.get()
    said = run_action(admin, ExecutionLog, action)
    again = ExecutionLog.objects.get(parent=parent)
    assert url_of(ExecutionLog, "change", again.pk) in said
    assert (again.status, again.trigger_type, again.triggered_by) == ("queued", "manual", "user:root")
    assert again.input_data == parent.input_data
    assert ExecutionEvent.objects.get(execution=again).payload["from"] == start_from


def test_a_schedules_list_says_what_runs_when_and_who_paused_it(admin: Client) -> None:
    schedule = make_schedule(cron_expression="0 9 * * 1-5", timezone="Europe/Berlin")
    next_run = schedule.next_fire_at
    assert next_run is not None
    page = admin.get(url_of(ScheduleConfig, "changelist")).content.decode()
    assert "At 09:00, Monday to Friday (Europe/Berlin)" in page
    assert date_format(localtime(next_run), "DATETIME_FORMAT") in page
    one = admin.get(url_of(ScheduleConfig, "change", schedule.pk)).content.decode()
    assert f"<div>{next_run.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m-%d} 09:00:00 +0" in one


def test_a_scheduled_time_that_was_skipped_stands_in_the_list_with_its_reason(admin: Client) -> None:
    skipped = make_queued(trigger_type="scheduled", reason="overlap")
    make_queued(make_deployment("other"))
    page = admin.get(url_of(ExecutionLog, "changelist") + "?reason=overlap").content.decode()
    assert '<td class="field-reason">overlap</td>' in page
    assert str(skipped.pk) in page
    assert "1 execution" in page


def test_schedules_are_paused_and_resumed(admin: Client) -> None:
    make_schedule()
    assert "1 paused" in run_action(admin, ScheduleConfig, "pause")
    paused = ScheduleConfig.objects.get()
    assert (paused.paused_by, paused.next_fire_at) == ("user:root", None)
    assert "user:root" in admin.get(url_of(ScheduleConfig, "changelist")).content.decode()
    assert "paused by user:root" in admin.get(url_of(ScheduleConfig, "change", paused.pk)).content.decode()
    assert "1 resumed" in run_action(admin, ScheduleConfig, "resume")
    resumed = ScheduleConfig.objects.get()
    assert resumed.paused_by == ""
    assert resumed.next_fire_at is not None
    run_action(admin, ScheduleConfig, "pause")
    ScheduleConfig.objects.update(timezone="Mars/Olympus")
    assert "Mars/Olympus" in run_action(admin, ScheduleConfig, "resume")
    assert ScheduleConfig.objects.get().paused_by == "user:root"


def test_keys_are_revoked(admin: Client) -> None:
    make_rows(0)
    run_action(admin, ApiKey, "revoke")
    assert ApiKey.objects.get().revoked_at is not None
    run_action(admin, ApiKey, "delete_selected")
    assert admin.post(url_of(ApiKey, "delete", ApiKey.objects.get().pk), {"post": "yes"}).status_code == 403
    assert ApiKey.objects.exists(), "its row says whose the executions are"


def test_the_limits_of_a_key_are_changed_and_half_a_rate_is_refused(admin: Client) -> None:
    make_rows(0)
    key = ApiKey.objects.get()
    address = url_of(ApiKey, "change", key.pk)
    typed = {"name": key.name, "rate_count": "5", "daily_max_cost_usd": "0.25"}
    assert "A rate needs both" in admin.post(address, typed).content.decode()
    assert admin.post(address, typed | {"rate_seconds": "60"}).status_code == 302
    key.refresh_from_db()
    assert (key.rate_count, key.rate_seconds, key.daily_max_cost_usd) == (5, 60, Decimal("0.25"))
    assert key.scopes == ["read"]


@pytest.fixture
def viewer(client: Client) -> Client:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    user.groups.add(Team.default())
    client.force_login(user)
    return client


def test_who_may_only_look_finds_no_actions(viewer: Client) -> None:
    make_rows(0)
    run_action(viewer, ExecutionLog, "rerun_from_start")
    run_action(viewer, ExecutionLog, "cancel")
    run_action(viewer, ExecutionLog, "rerun_from_start")
    run_action(viewer, Deployment, "deactivate")
    run_action(viewer, ScheduleConfig, "pause")
    revoke = {"action": "revoke", "_selected_action": [str(ApiKey.objects.get().pk)]}
    assert viewer.post(url_of(ApiKey, "changelist"), revoke).status_code == 403
    assert ExecutionLog.objects.get().status == "queued"
    assert Deployment.objects.get().status == "active"
    assert ScheduleConfig.objects.get().paused_at is None
    assert ApiKey.objects.get().revoked_at is None
