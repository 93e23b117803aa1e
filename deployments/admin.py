"""Deployments, executions and keys in the admin: constant numbers of queries, history read only."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from access.admin_rights import OwnTeamsFilter
from access.audited_admin import AuditedAdmin
from access.read_only_admin import MadeElsewhereAdmin, ReadOnlyAdmin
from deployments import admin_alerts, admin_workers
from deployments.admin_beat import take_over_beats_tables
from deployments.admin_links import admin_link, list_link, pretty_json
from deployments.admin_reruns import rerun_failed, rerun_from_start
from deployments.admin_schedules import ScheduleInline
from deployments.deploying import DeploymentChanges, DeploymentGone, update_deployment
from deployments.executions.admission import LimitReached
from deployments.executions.lifecycle import request_cancel
from deployments.executions.start import start_execution
from deployments.input_schemas import input_schema_of
from deployments.keys import revoke_key
from deployments.limits import KEY_LIMIT_FIELDS
from deployments.models import (
    AlertDelivery,
    AlertTarget,
    ApiKey,
    Deployment,
    ExecutionEvent,
    ExecutionLog,
    IdempotencyKey,
    WorkerProcess,
)
from deployments.retention.policy import RETENTION_FIELDS
from executor.json_schema import validate_instance

take_over_beats_tables()
admin.site.register(AlertTarget, admin_alerts.AlertTargetAdmin)
admin.site.register(AlertDelivery, admin_alerts.AlertDeliveryAdmin)
admin.site.register(WorkerProcess, admin_workers.WorkerProcessAdmin)


@admin.register(Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    """Deployments, the undeployed ones too. They are made, changed and removed through the API and the pages."""

    kind = "deployment"
    action_rights = {"activate": "update", "deactivate": "update", "run_now": "execute"}
    list_display = [
        "endpoint_path",
        "design_link",
        "version_number",
        "status",
        "team",
        "schedule_text",
        "execution_count",
        "last_execution_at",
        "executions_link",
        "deleted_at",
    ]
    list_filter = ["status", ("team", OwnTeamsFilter), ("deleted_at", admin.EmptyFieldListFilter), "created_at"]
    search_fields = ["endpoint_path", "design_name"]
    date_hierarchy = "created_at"
    list_select_related = ["design", "version", "team", "schedule"]
    inlines = [ScheduleInline]
    actions = ["activate", "deactivate", "run_now"]
    fields = [
        "endpoint_path",
        "design_link",
        "version_link",
        "team",
        "status",
        "status_reason",
        "executions_link",
        "rate_count",
        "rate_seconds",
        "max_concurrent",
        "when_full",
        "deadline_seconds",
        "max_calls",
        "max_tokens",
        "max_cost_usd",
        "max_payload_bytes",
        "daily_max_tokens",
        "daily_max_cost_usd",
        *RETENTION_FIELDS,
        "execution_count",
        "last_execution_at",
        "revision",
        "created_by",
        "created_at",
        "updated_at",
        "deleted_at",
    ]
    readonly_fields = fields  # type: ignore[assignment] # the stubs know fields with rows, and these have none

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        return super().get_queryset(request).defer("version__document", "design__draft", "schedule__input_data")

    @admin.display(description="design", ordering="design_name")
    def design_link(self, deployment: Deployment) -> str:
        return admin_link(deployment.design, deployment.design_name)

    @admin.display(description="version")
    def version_link(self, deployment: Deployment) -> str:
        return admin_link(deployment.version, f"version {deployment.version.number}")

    @admin.display(description="version", ordering="version__number")
    def version_number(self, deployment: Deployment) -> int:
        return deployment.version.number

    @admin.display(description="schedule")
    def schedule_text(self, deployment: Deployment) -> str:
        schedule = getattr(deployment, "schedule", None)
        return "–" if schedule is None else f"{schedule}{'' if schedule.enabled else ' (off)'}"  # noqa: RUF001 - a dash

    @admin.display(description="executions")
    def executions_link(self, deployment: Deployment) -> str:
        return list_link(ExecutionLog, "executions", deployment__id__exact=deployment.id)

    @admin.action(description="Activate the selected deployments")
    def activate(self, request: HttpRequest, deployments: QuerySet[Deployment]) -> None:
        self._set_status(request, deployments, DeploymentChanges(status="active"), "activated")

    @admin.action(description="Deactivate the selected deployments")
    def deactivate(self, request: HttpRequest, deployments: QuerySet[Deployment]) -> None:
        self._set_status(request, deployments, DeploymentChanges(status="inactive"), "deactivated")

    @admin.action(description="Run the selected deployments now")
    def run_now(self, request: HttpRequest, deployments: QuerySet[Deployment]) -> None:
        """Executes each with its schedule's input, else with an empty object."""
        for deployment in deployments.filter(deleted_at__isnull=True).select_related("version", "schedule"):
            refusal = _run_now(deployment, by=_actor(request))
            if refusal is not None:
                self.message_user(request, f"{deployment}: {refusal}", messages.ERROR)
            else:
                self.message_user(request, f"{deployment} is queued.", messages.SUCCESS)

    def _set_status(
        self, request: HttpRequest, deployments: QuerySet[Deployment], changes: DeploymentChanges, done: str
    ) -> None:
        count = 0
        for deployment in deployments:
            try:
                update_deployment(deployment_id=deployment.id, changes=changes, by=_actor(request))
                count += 1
            except DeploymentGone:
                self.message_user(request, f"{deployment} is undeployed.", messages.WARNING)
        self.message_user(request, f"{count} {done}.", messages.SUCCESS)


def _run_now(deployment: Deployment, *, by: str) -> str | None:
    """Why it was not started; None when it was."""
    schedule = getattr(deployment, "schedule", None)
    input_data = {} if schedule is None else schedule.input_data
    schema = input_schema_of(deployment.version_id)
    if schema is not None and (problems := validate_instance(schema, input_data)):
        return f"its input schema refuses the input of its schedule: {problems[0].message}"
    try:
        start_execution(
            deployment=deployment,
            version=deployment.version,
            team_id=deployment.team_id,
            input_data=input_data,
            trigger_type="manual",
            triggered_by=by,
        )
    except LimitReached as reached:
        return f"{reached} Try again in {reached.retry_after} s."
    return None


@admin.register(ExecutionLog)
class ExecutionAdmin(ReadOnlyAdmin):
    """What ran: read only. A running execution can be cancelled, and one that ended can be run again."""

    kind = "execution"
    action_rights = {"cancel": "cancel", "rerun_from_start": "rerun", "rerun_failed": "rerun"}
    list_display = [
        "id",
        "deployment_link",
        "version_number",
        "status",
        "reason",
        "trigger_type",
        "triggered_by",
        "created_at",
        "duration",
        "cost",
        "error_code",
    ]
    list_filter = [
        "status",
        "trigger_type",
        "error_code",
        "created_at",
        ("team", OwnTeamsFilter),
    ]
    search_fields = ["=id", "deployment__endpoint_path", "deployment__design_name", "triggered_by", "error"]
    list_select_related = ["deployment", "version"]
    show_full_result_count = False
    ordering = ["-created_at", "-id"]
    actions = ["cancel", rerun_from_start, rerun_failed]
    fields = [
        "id",
        "status",
        "deployment_link",
        "version_link",
        "parent",
        "trigger_type",
        "triggered_by",
        "scheduled_for",
        "reason",
        "input",
        "result",
        "error",
        "error_code",
        "usage",
        "cost",
        "attempt",
        "losses",
        "created_at",
        "started_at",
        "completed_at",
        "duration",
        "payload_removed_at",
        "payload_removed_why",
        "events_link",
    ]
    readonly_fields = ["deployment_link", "version_link", "input", "result", "duration", "events_link"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExecutionLog]:
        rows: QuerySet[ExecutionLog] = super().get_queryset(request).defer("version__document")
        match = request.resolver_match
        is_list = match is not None and match.url_name == "deployments_executionlog_changelist"
        return rows.defer("version__document", "input_data", "result_data") if is_list else rows

    @admin.display(description="deployment", ordering="deployment__endpoint_path")
    def deployment_link(self, execution: ExecutionLog) -> str:
        return "draft" if execution.deployment is None else admin_link(execution.deployment)

    @admin.display(description="version", ordering="version__number")
    def version_number(self, execution: ExecutionLog) -> int:
        return execution.version.number

    @admin.display(description="version")
    def version_link(self, execution: ExecutionLog) -> str:
        return admin_link(execution.version, f"version {execution.version.number}")

    @admin.display(description="duration", ordering="duration_ms")
    def duration(self, execution: ExecutionLog) -> str:
        return "" if execution.duration_ms is None else f"{execution.duration_ms / 1000:.3f} s"

    @admin.display(description="input")
    def input(self, execution: ExecutionLog) -> str:
        return pretty_json(execution.input_data)

    @admin.display(description="result")
    def result(self, execution: ExecutionLog) -> str:
        return pretty_json(execution.result_data)

    @admin.display(description="events")
    def events_link(self, execution: ExecutionLog) -> str:
        return list_link(ExecutionEvent, f"{execution.seq} events", execution__id__exact=execution.id)

    @admin.action(description="Cancel the selected executions")
    def cancel(self, request: HttpRequest, executions: QuerySet[ExecutionLog]) -> None:
        outcomes = [
            request_cancel(execution_id=execution_id, by=_actor(request))
            for execution_id in executions.values_list("id", flat=True)
        ]
        ended = outcomes.count("ended")
        self.message_user(request, f"{len(outcomes) - ended} cancelled or asked to stop; {ended} had ended already.")


@admin.register(ExecutionEvent)
class EventAdmin(ReadOnlyAdmin):
    """The journals, line by line."""

    kind = "execution"
    team_path = "execution__team"
    list_display = ["execution_link", "seq", "type", "block_id", "agent", "at"]
    list_filter = ["type"]
    search_fields = ["=execution__id", "block_id", "agent"]
    list_select_related = ["execution"]
    show_full_result_count = False
    ordering = ["-at", "-seq"]
    fields = ["execution_link", "seq", "type", "block_id", "agent", "key", "content", "at"]
    readonly_fields = ["execution_link", "content"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExecutionEvent]:
        rows: QuerySet[ExecutionEvent] = super().get_queryset(request)
        return rows.defer("execution__input_data", "execution__result_data")

    @admin.display(description="execution", ordering="execution")
    def execution_link(self, event: ExecutionEvent) -> str:
        return admin_link(event.execution)

    @admin.display(description="payload")
    def content(self, event: ExecutionEvent) -> str:
        return pretty_json(event.payload)


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Which requests stand for which executions."""

    kind = "execution"
    team_path = "deployment__team"
    list_display = ["key", "principal", "deployment", "execution_link", "expires_at"]
    search_fields = ["key", "principal", "deployment__endpoint_path"]
    list_filter = ["expires_at"]
    list_select_related = ["deployment", "execution"]

    @admin.display(description="execution")
    def execution_link(self, key: IdempotencyKey) -> str:
        return admin_link(key.execution)


@admin.register(ApiKey)
class ApiKeyAdmin(AuditedAdmin, MadeElsewhereAdmin):
    """API keys, without the keys. They are made and rotated by the API or a command, which show each secret once."""

    kind = "key"
    told_fields = ["name", "expires_at", *KEY_LIMIT_FIELDS]
    action_rights = {"revoke": "destroy"}
    list_display = [
        *("name", "prefix", "team", "scopes_text", "for_deployments"),
        *("created_by", "created_at", "expires_at", "last_used_at", "state"),
    ]
    list_filter = [
        ("team", OwnTeamsFilter),
        ("revoked_at", admin.EmptyFieldListFilter),
        "all_deployments",
        "created_at",
    ]
    search_fields = ["name", "prefix", "created_by"]
    list_select_related = ["team"]
    actions = ["revoke"]
    fields = [
        "name",
        "prefix",
        "team",
        "scopes_text",
        "for_deployments",
        "created_by",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
        "rotated_at",
        "previous_until",
        "previous_used_at",
        *KEY_LIMIT_FIELDS,
    ]
    readonly_fields = ["prefix", "team", "scopes_text", "for_deployments", "created_by", "created_at"]
    readonly_fields += ["revoked_at", "last_used_at", "rotated_at", "previous_until", "previous_used_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A key is revoked: its row says whose the executions are, and holds the limits of those that run."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """What was edited alone: a key that is revoked or rotated at the same moment stays so."""
        obj.save(update_fields=form.changed_data)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).prefetch_related("deployments")

    @admin.display(description="scopes")
    def scopes_text(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="deployments")
    def for_deployments(self, key: ApiKey) -> str:
        return "all" if key.all_deployments else ", ".join(str(deployment) for deployment in key.deployments.all())

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        return "valid" if key.is_valid_at(timezone.now()) else "expired"

    @admin.action(description="Revoke the selected keys")
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys:
            revoke_key(key=key, by=_actor(request))
        self.message_user(request, f"{len(keys)} revoked.", messages.SUCCESS)


def _actor(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}"
