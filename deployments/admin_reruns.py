"""Actions of the admin that run executions again."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from deployments.admin_links import admin_link
from deployments.executions.admission import LimitReached
from deployments.executions.rerunning import RerunRefused, rerun_execution
from deployments.executions.reused import ParentGone
from deployments.models import ExecutionLog
from executor.errors import CannotRerun
from executor.reuse import FAILED, START


@admin.action(description="Run the selected executions again, from the start")
def rerun_from_start(shown: "ModelAdmin[Any]", request: HttpRequest, executions: QuerySet[ExecutionLog]) -> None:
    """Everything runs again, with the same input."""
    _rerun(shown, request, executions, START)


@admin.action(description="Run the selected executions again, from what failed")
def rerun_failed(shown: "ModelAdmin[Any]", request: HttpRequest, executions: QuerySet[ExecutionLog]) -> None:
    """What has no good result runs again; the rest is reused and not charged again."""
    _rerun(shown, request, executions, FAILED)


def _rerun(shown: "ModelAdmin[Any]", request: HttpRequest, executions: QuerySet[ExecutionLog], start_from: str) -> None:
    for execution_id in executions.values_list("id", flat=True):
        by = f"user:{request.user.get_username()}"
        try:
            started = rerun_execution(parent_id=execution_id, start_from=start_from, by=by)
        except (RerunRefused, CannotRerun, LimitReached, ParentGone) as refused:
            shown.message_user(request, f"{execution_id}: {refused}", messages.ERROR)
        else:
            sentence = format_html("{} runs again as {}.", execution_id, admin_link(started.execution))
            shown.message_user(request, sentence, messages.SUCCESS)
