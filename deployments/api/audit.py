"""The audit over REST: who did what to which object, when and from where. It is read here, and nothing else."""

from typing import Any, get_args

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers

from access.audit import Action
from access.models import AuditRecord
from access.permissions import caller_of, rows_of
from access.principal import ALL
from access.rights import RIGHTS
from deployments.api.filters import AnyOfFilter, InstantFilter
from rest.resources import ResourceViewSet

ACTIONS = [(action, action) for action in get_args(Action)]
#: The longest id that the database can count to.
ID_PATTERN = r"[1-9][0-9]{0,17}"


class AuditFilters(filters.FilterSet):  # type: ignore[misc] # django-filter ships no types
    """Filters of audit records."""

    action = AnyOfFilter(choices=ACTIONS)
    actor = filters.CharFilter(help_text="All of it, as `user:alice` or `key:crm`.")
    object_type = filters.CharFilter(
        help_text="deployment, key, execution, schedule, design, version, provider, user …"
    )
    object_id = filters.CharFilter()
    since = InstantFilter(field_name="created_at", lookup_expr="gte", help_text="From this instant on.")
    until = InstantFilter(field_name="created_at", lookup_expr="lt", help_text="Before this instant.")

    class Meta:
        model = AuditRecord
        fields: list[str] = []


class AuditSerializer(serializers.ModelSerializer[AuditRecord]):
    """One record."""

    id = serializers.CharField(read_only=True)
    team_id = serializers.IntegerField(allow_null=True, read_only=True)

    class Meta:
        model = AuditRecord
        fields = [
            "id",
            "created_at",
            "team_id",
            "actor",
            "user_id",
            "key_id",
            "action",
            "object_type",
            "object_id",
            "object_label",
            "details",
            "way",
            "address",
            "request_id",
        ]
        read_only_fields = fields


@extend_schema_view(
    list=extend_schema(summary="What was done to the objects of your teams, newest first"),
    retrieve=extend_schema(summary="One record of the audit"),
)
class AuditViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ResourceViewSet[AuditRecord]):
    """Signing in and out belongs to no team: only superusers see it."""

    queryset = AuditRecord.objects.none()
    serializer_class = AuditSerializer
    filterset_class = AuditFilters
    lookup_value_regex = ID_PATTERN
    required_verbs = RIGHTS["audit"]

    def get_queryset(self) -> QuerySet[AuditRecord]:
        principal = caller_of(self.request)
        records: QuerySet[AuditRecord] = rows_of(self, AuditRecord.objects.all())
        if principal.deployment_ids is ALL:
            return records
        # A key for some deployments sees what was done to these, and to nothing else of its team.
        ids: list[Any] = [str(deployment_id) for deployment_id in principal.deployment_ids]
        return records.filter(object_type="deployment", object_id__in=ids)
