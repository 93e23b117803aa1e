"""The page of the workers: who is alive, what each runs, how late it is; each can be drained and resumed."""

from collections.abc import Callable
from datetime import timedelta

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.timesince import timesince

from access.admin_rights import SuperusersAlone
from access.read_only_admin import ReadOnly
from deployments.admin_links import admin_link
from deployments.executions.presence import is_anybody_working, rest_worker, resume_worker
from deployments.models import ExecutionLog, WorkerProcess

#: Of a worker that runs more, the oldest are shown.
SHOWN_EXECUTIONS = 100


class WorkerProcessAdmin(SuperusersAlone, ReadOnly, ModelAdmin):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """Processes that run executions, of the last day."""

    list_display = ["owner", "state", "seen", "running_of", "lag", "memory", "release", "started_at"]
    search_fields = ["owner"]
    actions = ["drain", "resume_workers"]
    ordering = ["-seen_at"]
    fields = [
        *("owner", "state", "running_of", "lag", "memory", "release", "started_at", "seen_at", "stopped_at"),
        *("drain_requested_at", "drain_requested_by", "executions"),
    ]
    readonly_fields = ["state", "running_of", "lag", "memory", "executions"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkerProcess]:
        workers: QuerySet[WorkerProcess] = super().get_queryset(request).annotate(now=Now())
        return workers

    @admin.display(description="state", ordering="stopped_at")
    def state(self, worker: WorkerProcess) -> str:
        return worker.state_at(worker.now)  # type: ignore[attr-defined] # of the queryset

    @admin.display(description="last seen", ordering="seen_at")
    def seen(self, worker: WorkerProcess) -> str:
        return f"{timesince(worker.seen_at, worker.now)} ago" if self._is_long_ago(worker) else "just now"  # type: ignore[attr-defined] # of the queryset

    @staticmethod
    def _is_long_ago(worker: WorkerProcess) -> bool:
        return bool(worker.now - worker.seen_at >= timedelta(minutes=1))  # type: ignore[attr-defined] # of the queryset

    @admin.display(description="runs", ordering="running")
    def running_of(self, worker: WorkerProcess) -> str:
        return f"{worker.running} of {worker.capacity}"

    @admin.display(description="lag", ordering="loop_lag_ms")
    def lag(self, worker: WorkerProcess) -> str:
        return f"{worker.loop_lag_ms} ms"

    @admin.display(description="memory", ordering="memory_mb")
    def memory(self, worker: WorkerProcess) -> str:
        return f"{worker.memory_mb} MB"

    @admin.display(description="executions")
    def executions(self, worker: WorkerProcess) -> str:
        """What it runs now, oldest first."""
        running = ExecutionLog.objects.filter(status=ExecutionLog.Status.RUNNING, lease_owner=worker.owner)
        shown = running.select_related("deployment").order_by("started_at", "id")[:SHOWN_EXECUTIONS]
        return format_html_join(
            "", "<div>{} {}</div>", ((admin_link(each), each.deployment or "draft") for each in shown)
        )

    @admin.action(description="Drain: take no more executions, finish those that run")
    def drain(self, request: HttpRequest, workers: QuerySet[WorkerProcess]) -> None:
        self._ask(request, workers, rest_worker, "asked to drain. They hear of it with their next heartbeat.")

    @admin.action(description="Resume: take executions again")
    def resume_workers(self, request: HttpRequest, workers: QuerySet[WorkerProcess]) -> None:
        self._ask(request, workers, resume_worker, "asked to take executions again.")

    def _ask(self, request: HttpRequest, workers: QuerySet[WorkerProcess], ask: Callable[..., bool], said: str) -> None:
        by = f"user:{request.user.get_username()}"
        there = [each for each in workers if each.state_at(each.now) not in ("lost", "stopped")]  # type: ignore[attr-defined] # of the queryset
        if gone := len(workers) - len(there):
            self.message_user(request, f"{gone} left alone: no process is there any more.", messages.ERROR)
        asked = sum(ask(worker=worker, by=by) for worker in there)
        self.message_user(request, f"{asked} {said}", messages.SUCCESS if asked else messages.WARNING)
        if not is_anybody_working():
            sentence = "No worker takes executions now: what is called or comes due waits until one is resumed."
            self.message_user(request, sentence, messages.WARNING)
