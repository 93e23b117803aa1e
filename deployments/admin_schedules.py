"""Schedules in the admin: to be read, paused and resumed. They are edited through the API, which checks them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join

from access.admin_rights import principal_in_admin
from access.read_only_admin import ReadOnlyAdmin
from access.rights import RIGHTS
from deployments.admin_links import admin_link
from deployments.models import ScheduleConfig
from deployments.scheduling.changes import pause_schedule, resume_schedule
from deployments.scheduling.errors import InvalidSchedule, ScheduleGone
from deployments.scheduling.preview import preview_schedule
from deployments.scheduling.words import words_of

SHOWN_RUNS = 5


class ScheduleInline(admin.StackedInline):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """The schedule of a deployment, to be read: it is changed through the API, which checks it."""

    model = ScheduleConfig
    extra = 0
    can_delete = False
    fields = ["words", "enabled", "overlap", "catch_up", "next_fire_at", "paused_by", "paused_reason"]
    readonly_fields = fields  # type: ignore[assignment] # the stubs know fields with rows, and these have none

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        verbs, principal = RIGHTS["schedule"]["retrieve"], principal_in_admin(request)
        return principal.may(*verbs) if obj is None else principal.may_in(obj.team_id, *verbs)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="runs")
    def words(self, schedule: ScheduleConfig) -> str:
        return words_of(schedule) or str(schedule)


@admin.register(ScheduleConfig)
class ScheduleAdmin(ReadOnlyAdmin):
    """What runs by itself and when."""

    kind = "schedule"
    team_path = "deployment__team"
    action_rights = {"pause": "pause", "resume": "resume"}
    list_display = ["deployment_link", "words", "enabled", "next_run", "paused_by", "overlap"]
    list_filter = ["enabled", ("paused_at", admin.EmptyFieldListFilter), "overlap", "catch_up", "timezone"]
    search_fields = ["deployment__endpoint_path", "deployment__design_name", "cron_expression", "paused_by"]
    list_select_related = ["deployment"]
    ordering = ["next_fire_at"]
    actions = ["pause", "resume"]
    readonly_fields = ["words", "next_runs"]

    @admin.display(description="deployment", ordering="deployment__endpoint_path")
    def deployment_link(self, schedule: ScheduleConfig) -> str:
        return admin_link(schedule.deployment)

    @admin.display(description="runs", ordering="cron_expression")
    def words(self, schedule: ScheduleConfig) -> str:
        return words_of(schedule) or str(schedule)

    @admin.display(description="next run", ordering="next_fire_at")
    def next_run(self, schedule: ScheduleConfig) -> Any:
        return schedule.next_fire_at

    @admin.display(description="next runs")
    def next_runs(self, schedule: ScheduleConfig) -> str:
        """With what keeps them from coming."""
        preview = preview_schedule(schedule, count=SHOWN_RUNS, after=timezone.now())
        lines = [f"{run.local.replace('T', ' ')} {run.offset}" for run in preview.runs]
        return format_html_join(
            "", "<div>{}</div>", ((line,) for line in lines + [p.message for p in preview.problems])
        )

    @admin.action(description="Pause the selected schedules")
    def pause(self, request: HttpRequest, schedules: QuerySet[ScheduleConfig]) -> None:
        pause = partial(pause_schedule, by=f"user:{request.user.get_username()}", reason="")
        _each(self, request, schedules, pause, "paused")

    @admin.action(description="Resume the selected schedules")
    def resume(self, request: HttpRequest, schedules: QuerySet[ScheduleConfig]) -> None:
        """They go on with their next time; the API can catch up, too."""
        resume = partial(resume_schedule, by=f"user:{request.user.get_username()}", catch_up=None)
        _each(self, request, schedules, resume, "resumed")


def _each(
    shown: "ModelAdmin[Any]",
    request: HttpRequest,
    schedules: QuerySet[ScheduleConfig],
    change: Callable[..., ScheduleConfig],
    done: str,
) -> None:
    count = 0
    for schedule in schedules.select_related("deployment"):
        try:
            change(schedule=schedule)
            count += 1
        except (InvalidSchedule, ScheduleGone) as refused:
            shown.message_user(request, f"{schedule.deployment}: {refused}", messages.ERROR)
    shown.message_user(request, f"{count} {done}.", messages.SUCCESS)
