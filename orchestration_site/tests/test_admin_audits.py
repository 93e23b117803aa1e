"""Whatever can be changed in the admin is in the audit: every model that is registered there, found by itself."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results.models import GroupResult, TaskResult

from access import origin
from access.audited_admin import AuditedAdmin
from access.models import AuditRecord, Team
from deployments.keys import make_key
from deployments.models import ApiKey
from deployments.tests.builders import make_deployment
from designs.models import ProviderAccount
from orchestration_site import urls

pytestmark = [pytest.mark.django_db, pytest.mark.either_database]
assert urls.urlpatterns, "the admin's models are registered there"


def make_entry(name: str = "theirs") -> PeriodicTask:
    interval = IntervalSchedule.objects.create(every=1, period="days")
    return PeriodicTask.objects.create(name=name, task="celery.backend_cleanup", interval=interval)


#: One of each model that can be changed or deleted in the admin. A model that is missing here fails the test.
MAKERS: dict[type[Model], Callable[[], Model]] = {
    ApiKey: lambda: make_key(name="crm", team_id=Team.default().pk, scopes=["read"])[0],
    ProviderAccount: lambda: ProviderAccount.objects.create(team=Team.default(), name="acme", kind="openai"),
    Team: lambda: Team.objects.create(name="new"),
    User: lambda: User.objects.create_user("bob"),
    PeriodicTask: make_entry,
    IntervalSchedule: lambda: IntervalSchedule.objects.create(every=2, period="days"),
    CrontabSchedule: lambda: CrontabSchedule.objects.create(minute="5"),
    ClockedSchedule: lambda: ClockedSchedule.objects.create(clocked_time=dt.datetime(2100, 1, 1, tzinfo=dt.UTC)),
    SolarSchedule: lambda: SolarSchedule.objects.create(event="sunrise", latitude=1, longitude=1),
    TaskResult: lambda: TaskResult.objects.create(task_id="x", status="SUCCESS"),
    GroupResult: lambda: GroupResult.objects.create(
        group_id="x", content_type="application/json", content_encoding="utf-8"
    ),
}
#: Actions, and what they leave behind: a record of the admin's own, one of the rule that they call, or an execution.
ACTIONS = {
    "delete_selected": "admin.deleted",
    "revoke": "key.revoked",
    "activate": "deployment.changed",
    "deactivate": "deployment.changed",
    "pause": "schedule.paused",
    "resume": "schedule.resumed",
    "cancel": "execution.cancelled",
    "drain": "worker.drained",
    "resume_workers": "worker.resumed",
    "enable_tasks": "admin.changed",
    "disable_tasks": "admin.changed",
    "toggle_tasks": "admin.changed",
    "run_tasks": "admin.changed",
    "run_now": "an execution",
    "rerun_from_start": "an execution",
    "rerun_failed": "an execution",
}


def superuser() -> Any:
    request = RequestFactory().get("/admin/")
    request.user = User(is_active=True, is_staff=True, is_superuser=True)
    return request


def changeable() -> list[type[Model]]:
    def may_change(shown: Any) -> bool:
        request = superuser()
        asked = (shown.has_add_permission, shown.has_change_permission, shown.has_delete_permission)
        return any(may(request) for may in asked)

    return sorted((model for model, shown in admin.site._registry.items() if may_change(shown)), key=str)


def address_of(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def posted(form: forms.BaseForm) -> dict[str, Any]:
    """What a browser sends of this form when nothing was typed."""
    sent: dict[str, Any] = {}
    for name, field in form.fields.items():
        bound, widget = form[name], field.widget
        if isinstance(widget, forms.MultiWidget):
            sent |= {f"{bound.html_name}_{i}": each for i, each in enumerate(widget.decompress(bound.value()) or ())}
        elif bound.value() is not False:
            sent[bound.html_name] = bound.value()
    return {name: value for name, value in sent.items() if value is not None}


def last_record() -> AuditRecord:
    record: AuditRecord = AuditRecord.objects.latest("id")
    return record


@pytest.mark.parametrize("model", changeable(), ids=str)
def test_what_is_changed_and_deleted_in_the_admin_is_recorded(model: type[Model], admin_client: Client) -> None:
    shown = admin.site._registry[model]
    assert isinstance(shown, AuditedAdmin), "it records nothing: put AuditedAdmin before its class"
    row = MAKERS[model]()
    if shown.has_change_permission(superuser(), row):
        page: Any = admin_client.get(address_of(model, "change", row.pk))
        sent = posted(page.context["adminform"].form)
        for formset in page.context["inline_admin_formsets"]:
            sent |= posted(formset.formset.management_form)
        origin._caller.set(None)  # as each request of the site begins
        answer: Any = admin_client.post(address_of(model, "change", row.pk), sent)
        assert answer.status_code == 302, answer.context["errors"]
        assert (last_record().action, last_record().actor) == ("admin.changed", "user:admin")
        assert last_record().object_id == str(row.pk)
        assert last_record().user_id == User.objects.get(username="admin").pk, "a name may be another's by tomorrow"
    if shown.has_delete_permission(superuser(), row):
        assert admin_client.post(address_of(model, "delete", row.pk), {"post": "yes"}).status_code == 302
        assert not model._default_manager.filter(pk=row.pk).exists()
        assert (last_record().action, last_record().object_id) == ("admin.deleted", str(row.pk))
        many = MAKERS[model]()
        chosen = {"action": "delete_selected", "_selected_action": [str(many.pk)], "post": "yes"}
        admin_client.post(address_of(model, "changelist"), chosen)
        assert (last_record().action, last_record().object_id) == ("admin.deleted", str(many.pk))


def test_every_action_of_the_admin_leaves_something_behind() -> None:
    offered = {name for shown in admin.site._registry.values() for name in shown.get_actions(superuser())}
    assert offered == set(ACTIONS)


@pytest.mark.parametrize("action", ["enable_tasks", "disable_tasks", "toggle_tasks", "run_tasks"])
def test_what_is_done_to_somebodys_entry_of_beats_is_recorded(action: str, admin_client: Client) -> None:
    assert ACTIONS[action] == "admin.changed"
    entry = make_entry()
    admin_client.post(address_of(PeriodicTask, "changelist"), {"action": action, "_selected_action": [str(entry.pk)]})
    assert (last_record().action, last_record().object_id) == ("admin.changed", str(entry.pk))


def test_a_keys_name_expiry_and_limits_are_edited_and_stand_among_its_records(admin_client: Client) -> None:
    key, _ = make_key(name="crm", team_id=Team.default().pk, scopes=["read"])
    sent = {"name": "CRM", "expires_at_0": "2100-01-01", "expires_at_1": "00:00:00", "max_concurrent": "3"}
    admin_client.post(address_of(ApiKey, "change", key.pk), sent)
    records = AuditRecord.objects.filter(object_type="key", object_id=str(key.pk)).order_by("id")
    assert [(each.action, each.team_id) for each in records] == [
        ("key.made", key.team_id),
        ("admin.changed", key.team_id),
    ]
    assert records[1].details["changes"] == [{"changed": {"fields": ["Name", "Expires at", "Max concurrent"]}}]
    assert (records[1].details["now"]["name"], records[1].details["now"]["max_concurrent"]) == ("CRM", 3)


def test_a_key_that_is_revoked_while_it_is_edited_stays_revoked(admin_client: Client, rf: RequestFactory) -> None:
    key, _ = make_key(name="crm", team_id=Team.default().pk, scopes=["read"])
    shown = admin.site._registry[ApiKey]
    form = shown.get_form(superuser(), key)({"name": "CRM"}, instance=key)
    assert form.is_valid()
    ApiKey.objects.update(revoked_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), key_hash="rotated")
    shown.save_model(superuser(), form.instance, form, change=True)
    key.refresh_from_db()
    assert (key.name, key.key_hash, key.revoked_at is None) == ("CRM", "rotated", False)


class TestDeleting:
    def test_a_team_with_a_history_stays_and_says_why_and_what_to_do(self, admin_client: Client) -> None:
        team = Team.objects.create(name="old")
        make_key(name="crm", team_id=team.pk, scopes=["read"])
        chosen = {"action": "delete_selected", "_selected_action": [str(team.pk)], "post": "yes"}
        for answer in (
            admin_client.get(address_of(Team, "delete", team.pk)),
            admin_client.post(address_of(Team, "delete", team.pk), {"post": "yes"}),
            admin_client.post(address_of(Team, "changelist"), chosen),
        ):
            assert answer.status_code == 200
            page = re.sub(r"\s+", " ", answer.content.decode())
            assert "The team old stays, for this belongs to it: " in page
            assert "1 API key" in page
            assert "1 audit record" in page
            assert "Take its members and its permissions away instead" in page
        assert Team.objects.filter(pk=team.pk).exists()

    def test_a_team_with_deployments_and_many_records_is_answered_by_their_number(self, admin_client: Client) -> None:
        make_deployment()
        for number in range(30):
            make_key(name=f"key {number}", team_id=Team.default().pk, scopes=["read"])
        page = admin_client.get(address_of(Team, "delete", Team.default().pk)).content.decode()
        assert "30 API keys" in page
        assert "key 7" not in page

    def test_a_user_who_did_something_goes_and_the_audit_keeps_who_it_was(self, admin_client: Client) -> None:
        browser = Client()
        bob = User.objects.create_superuser("bob", password="right")
        browser.post("/sign-in", {"username": "bob", "password": "right"})
        browser.post(address_of(Team, "add"), {"name": "made by bob"})
        before = list(AuditRecord.objects.filter(actor="user:bob").values_list("id", flat=True))
        assert len(before) == 2
        assert admin_client.post(address_of(User, "delete", bob.pk), {"post": "yes"}).status_code == 302
        assert not User.objects.filter(pk=bob.pk).exists()
        assert list(AuditRecord.objects.filter(actor="user:bob").values_list("id", flat=True)) == before
