"""Beat's tables in the admin: entries of schedules are read there and lead to their deployment; others are edited."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from deployments.models import ScheduleConfig
from deployments.tests.builders import make_schedule

pytestmark = pytest.mark.django_db

LIST = "admin:django_celery_beat_periodictask_changelist"


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def schedule() -> ScheduleConfig:
    return make_schedule(cron_expression="0 9 * * 1-5", timezone="Europe/Paris")


@pytest.fixture
def ours(schedule: ScheduleConfig) -> PeriodicTask:
    return PeriodicTask.objects.get(name=f"schedule {schedule.id}")


@pytest.fixture
def theirs() -> PeriodicTask:
    interval = IntervalSchedule.objects.create(every=7, period="minutes")
    return PeriodicTask.objects.create(name="theirs", task="their.task", interval=interval)


def page_of(row: Any) -> str:
    return reverse(f"admin:django_celery_beat_{row._meta.model_name}_change", args=[row.pk])


def act(admin: Client, action: str, *entries: PeriodicTask) -> list[str]:
    """Do that with these entries of the list; what the page says."""
    data = {"action": action, "_selected_action": [entry.pk for entry in entries], "post": "yes"}
    answer = admin.post(reverse(LIST), data)
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_our_entry_is_read_only_and_leads_to_its_deployment(
    admin: Client, ours: PeriodicTask, schedule: ScheduleConfig
) -> None:
    page = admin.get(page_of(ours)).content.decode()
    assert 'name="_save"' not in page
    assert reverse("admin:deployments_deployment_change", args=[schedule.deployment_id]) in page
    assert admin.post(page_of(ours), {"name": "mine", "task": "other"}).status_code == 403
    ours.refresh_from_db()
    assert ours.name == f"schedule {schedule.id}"


def test_the_list_leads_to_the_schedule(admin: Client, ours: PeriodicTask, theirs: PeriodicTask) -> None:
    page = admin.get(reverse(LIST)).content.decode()
    assert theirs.name in page
    assert page.count("of a deployment") == 1
    schedule_id = ours.name.removeprefix("schedule ")
    assert reverse("admin:deployments_scheduleconfig_change", args=[schedule_id]) in page


@pytest.mark.parametrize("action", ["enable_tasks", "disable_tasks", "toggle_tasks", "run_tasks"])
def test_actions_leave_our_entries_alone_and_say_so(admin: Client, ours: PeriodicTask, action: str) -> None:
    PeriodicTask.objects.filter(pk=ours.pk).update(enabled=action != "enable_tasks")
    said = act(admin, action, ours)
    assert said[0].startswith("1 of them belong to deployments")
    assert PeriodicTask.objects.get(pk=ours.pk).enabled is (action != "enable_tasks")


def test_actions_still_work_on_others(admin: Client, ours: PeriodicTask, theirs: PeriodicTask) -> None:
    act(admin, "disable_tasks", ours, theirs)
    theirs.refresh_from_db()
    ours.refresh_from_db()
    assert (theirs.enabled, ours.enabled) == (False, True)
    assert 'name="_save"' in admin.get(page_of(theirs)).content.decode()


def test_our_entry_is_deleted_neither_by_itself_nor_with_what_it_uses(admin: Client, ours: PeriodicTask) -> None:
    act(admin, "delete_selected", ours)
    crontab = CrontabSchedule.objects.get(pk=ours.crontab_id)
    delete = reverse("admin:django_celery_beat_crontabschedule_delete", args=[crontab.pk])
    assert admin.post(delete, {"post": "yes"}).status_code == 403
    admin.post(
        reverse("admin:django_celery_beat_crontabschedule_changelist"),
        {"action": "delete_selected", "_selected_action": [crontab.pk], "post": "yes"},
    )
    assert PeriodicTask.objects.filter(pk=ours.pk).exists()


def test_a_crontab_or_interval_that_ours_use_is_read_only(admin: Client, ours: PeriodicTask) -> None:
    crontab = CrontabSchedule.objects.get(pk=ours.crontab_id)
    free = CrontabSchedule.objects.create(minute="5")
    assert 'name="_save"' not in admin.get(page_of(crontab)).content.decode()
    assert admin.post(page_of(crontab), {"minute": "1"}).status_code == 403
    assert 'name="_save"' in admin.get(page_of(free)).content.decode()


def test_so_is_an_interval(admin: Client, theirs: PeriodicTask) -> None:
    make_schedule(interval_seconds=90)
    assert 'name="_save"' not in admin.get(page_of(IntervalSchedule.objects.get(every=90))).content.decode()
    assert 'name="_save"' in admin.get(page_of(theirs.interval)).content.decode()


def test_an_entry_whose_arguments_somebody_has_changed_still_opens(admin: Client, ours: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=ours.pk).update(args="[3]")
    assert admin.get(page_of(ours)).status_code == 200
    assert admin.get(reverse(LIST)).status_code == 200
