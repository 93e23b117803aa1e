"""Beat's own tables in the admin: what stands there for a schedule of ours is read here, and changed at its deployment.

`deployments.scheduling.entries` writes these rows. Others that somebody puts there are edited here as ever.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django_celery_beat.admin import CrontabScheduleAdmin, IntervalScheduleAdmin, PeriodicTaskAdmin
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from access.audited_admin import AuditedAdmin
from deployments.admin_links import admin_link
from deployments.models import Deployment
from deployments.scheduling.entries import FIRE_SCHEDULE, schedule_id_of

LEFT_ALONE = "%d of them belong to deployments and were left alone: change the deployment's schedule instead."


def is_ours(entry: PeriodicTask | None) -> bool:
    return entry is not None and entry.task == FIRE_SCHEDULE


class EntryAdmin(AuditedAdmin, PeriodicTaskAdmin):  # type: ignore[misc] # it ships no types
    """Beat's entries; ours are shown with their deployment, and neither changed, switched, run nor deleted."""

    list_display = ("name", "schedule_link", "enabled", "scheduler", "last_run_at", "total_run_count")
    readonly_fields = ("deployment_link", "last_run_at", "crontab_translation")
    shown = ("name", "deployment_link", "description", "enabled", "interval", "crontab", "last_run_at")

    def has_change_permission(self, request: HttpRequest, obj: PeriodicTask | None = None) -> bool:
        return not is_ours(obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: PeriodicTask | None = None) -> bool:
        return not is_ours(obj) and bool(super().has_delete_permission(request, obj))

    def get_fieldsets(self, request: HttpRequest, obj: PeriodicTask | None = None) -> Any:
        return [(None, {"fields": self.shown})] if is_ours(obj) else super().get_fieldsets(request, obj)

    @admin.display(description="schedule")
    def schedule_link(self, entry: PeriodicTask) -> str:
        schedule_id = schedule_id_of(entry)
        if schedule_id is None:
            return ""
        url = reverse("admin:deployments_scheduleconfig_change", args=[schedule_id])
        return format_html('<a href="{}">of a deployment</a>', url)

    @admin.display(description="deployment")
    def deployment_link(self, entry: PeriodicTask) -> str:
        """Where it is changed."""
        schedule_id = schedule_id_of(entry)
        deployment = None if schedule_id is None else Deployment.objects.filter(schedule__id=schedule_id).first()
        return "" if deployment is None else admin_link(deployment)

    @admin.action(description="Enable selected tasks")
    def enable_tasks(self, request: HttpRequest, entries: "QuerySet[Any]") -> None:
        super().enable_tasks(request, self._theirs(request, entries, "Enabled by an action."))

    @admin.action(description="Disable selected tasks")
    def disable_tasks(self, request: HttpRequest, entries: "QuerySet[Any]") -> None:
        super().disable_tasks(request, self._theirs(request, entries, "Disabled by an action."))

    @admin.action(description="Toggle activity of selected tasks")
    def toggle_tasks(self, request: HttpRequest, entries: "QuerySet[Any]") -> None:
        super().toggle_tasks(request, self._theirs(request, entries, "Toggled by an action."))

    @admin.action(description="Run selected tasks")
    def run_tasks(self, request: HttpRequest, entries: "QuerySet[Any]") -> None:
        super().run_tasks(request, self._theirs(request, entries, "Told to run by an action."))

    def _theirs(self, request: HttpRequest, entries: "QuerySet[Any]", done: str) -> "QuerySet[Any]":
        if ours := entries.filter(task=FIRE_SCHEDULE).count():
            self.message_user(request, LEFT_ALONE % ours, messages.WARNING)
        theirs = entries.exclude(task=FIRE_SCHEDULE)
        for entry in theirs:
            self.log_change(request, entry, done)
        return theirs


class SharedRowAdmin(ModelAdmin):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """Beat's crontabs and intervals, which entries share: one that ours use is not changed for another's sake."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _has_ours(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _has_ours(obj) and super().has_delete_permission(request, obj)


class SharedCrontabAdmin(SharedRowAdmin, CrontabScheduleAdmin):  # type: ignore[misc] # it ships no types
    """Crontabs."""


class SharedIntervalAdmin(SharedRowAdmin, IntervalScheduleAdmin):  # type: ignore[misc] # it ships no types
    """Intervals."""


def _has_ours(row: Any) -> bool:
    return row is not None and row.periodictask_set.filter(task=FIRE_SCHEDULE).exists()


def take_over_beats_tables() -> None:
    """Register these in place of beat's own."""
    for model, model_admin in (
        (PeriodicTask, EntryAdmin),
        (CrontabSchedule, SharedCrontabAdmin),
        (IntervalSchedule, SharedIntervalAdmin),
    ):
        admin.site.unregister(model)
        admin.site.register(model, model_admin)
