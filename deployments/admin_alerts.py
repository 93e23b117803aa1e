"""Alerts in the admin, read only: whom deployments alert, and what was told. URLs, which may be secret, are hidden."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from access.admin_rights import principal_in_admin
from access.read_only_admin import ReadOnlyAdmin
from access.rights import RIGHTS
from deployments.admin_links import admin_link, list_link, pretty_json
from deployments.alerts.payloads import without_result
from deployments.models import AlertDelivery, AlertTarget, AlertTry


class AlertTargetAdmin(ReadOnlyAdmin):
    """Targets. They are made, changed and removed through the API and the pages."""

    kind = "alert"
    team_path = "deployment__team"
    list_display = ["id", "kind", "deployment_link", "events_text", "enabled", "failing_since", "deleted_at"]
    list_filter = ["kind", "enabled"]
    search_fields = ["=id", "deployment__endpoint_path"]
    list_select_related = ["deployment"]
    fields = [
        "id",
        "kind",
        "deployment_link",
        "addresses",
        "events_text",
        "includes_result",
        "throttle_minutes",
        "quiet_until",
        "enabled",
        "off_reason",
        "failing_since",
        "previous_secret_until",
        "deliveries_link",
        "created_by",
        "created_at",
        "updated_at",
        "deleted_at",
    ]
    readonly_fields = fields  # type: ignore[assignment] # the stubs know fields with rows, and these have none

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertTarget]:
        rows: QuerySet[AlertTarget] = super().get_queryset(request)
        return rows.defer(*AlertTarget.ENCRYPTED)

    @admin.display(description="deployment", ordering="deployment__endpoint_path")
    def deployment_link(self, target: AlertTarget) -> str:
        return admin_link(target.deployment)

    @admin.display(description="events")
    def events_text(self, target: AlertTarget) -> str:
        return ", ".join(target.events)

    @admin.display(description="deliveries")
    def deliveries_link(self, target: AlertTarget) -> str:
        return list_link(AlertDelivery, "deliveries", target__id__exact=target.id)


class TryInline(admin.TabularInline):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """Each try of a delivery, for whoever may see that."""

    model = AlertTry
    fields = ["at", "duration_ms", "status_code", "answer", "error"]
    readonly_fields = fields  # type: ignore[assignment] # the stubs know fields with rows, and these have none
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        verbs, principal = RIGHTS["alert"]["delivery"], principal_in_admin(request)
        return principal.may(*verbs) if obj is None else principal.may_in(obj.target.deployment.team_id, *verbs)


class AlertDeliveryAdmin(ReadOnlyAdmin):
    """What was told, and what came of it."""

    kind = "alert"
    team_path = "target__deployment__team"
    list_display = ["id", "event", "target_link", "deployment_link", "status", "tries", "created_at", "next_try_at"]
    list_filter = ["status", "event", "created_at"]
    search_fields = ["=id", "=execution_id", "=target__id"]
    list_select_related = ["target__deployment"]
    show_full_result_count = False
    inlines = [TryInline]
    fields = [
        "id",
        "event",
        "target_link",
        "deployment_link",
        "execution_id",
        "content",
        "status",
        "tries",
        "next_try_at",
        "sent_with",
        "created_at",
        "ended_at",
    ]
    readonly_fields = ["target_link", "deployment_link", "content"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertDelivery]:
        rows: QuerySet[AlertDelivery] = super().get_queryset(request)
        return rows.defer(*(f"target__{name}" for name in AlertTarget.ENCRYPTED))

    @admin.display(description="target")
    def target_link(self, delivery: AlertDelivery) -> str:
        return admin_link(delivery.target)

    @admin.display(description="deployment", ordering="target__deployment__endpoint_path")
    def deployment_link(self, delivery: AlertDelivery) -> str:
        return admin_link(delivery.target.deployment)

    @admin.display(description="payload")
    def content(self, delivery: AlertDelivery) -> str:
        return pretty_json(without_result(delivery.payload))  # who changes alerts need not be allowed to see results
