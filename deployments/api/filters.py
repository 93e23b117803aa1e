"""What lists can be filtered by: allow-lists, applied by `rest.filters`."""

from datetime import UTC
from typing import Any
from uuid import UUID

from django import forms
from django.core.validators import EMPTY_VALUES
from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters

from deployments.endpoint_path import InvalidEndpointPath, canonical_endpoint_path
from deployments.models import Deployment, ExecutionLog
from deployments.models.deployment import DeploymentQuerySet
from deployments.models.execution import ExecutionLogQuerySet
from designs.models import DesignVersion


class AnyOfFilter(filters.MultipleChoiceFilter):  # type: ignore[misc] # django-filter ships no types
    """One of the choices, or several of them by repeating the parameter.

    Without the library's DISTINCT, which PostgreSQL does not have for the rows' `json` columns.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(distinct=False, **options)


class WholeNumberFilter(filters.Filter):  # type: ignore[misc] # django-filter ships no types
    """An integer; `NumberFilter` takes fractions and exponents too."""

    field_class = forms.IntegerField


class InstantField(filters.IsoDateTimeFilter.field_class):  # type: ignore[misc] # django-filter ships no types
    """An ISO 8601 instant; near the years 1 and 9999 an offset from UTC can lead outside what a datetime holds."""

    def to_python(self, value: Any) -> Any:
        instant = super().to_python(value)
        try:
            return None if instant is None else instant.astimezone(UTC)
        except OverflowError:
            raise forms.ValidationError("In UTC this has to be in the years 1 to 9999.", code="out_of_range") from None


class InstantFilter(filters.IsoDateTimeFilter):  # type: ignore[misc] # django-filter ships no types
    """A point in time."""

    field_class = InstantField


class DeploymentFilters(filters.FilterSet):  # type: ignore[misc] # django-filter ships no types
    """Filters of deployments."""

    endpoint_path = filters.CharFilter(method="filter_endpoint_path", help_text="In any spelling.")
    status = AnyOfFilter(choices=Deployment.Status.choices)
    search = filters.CharFilter(method="filter_search", help_text="A part of the design's name or of the path.")

    class Meta:
        model = Deployment
        fields: list[str] = []

    def filter_endpoint_path(self, queryset: QuerySet[Deployment], name: str, value: str) -> QuerySet[Deployment]:
        try:
            return queryset.filter(endpoint_path=canonical_endpoint_path(value))
        except InvalidEndpointPath:
            return queryset.none()

    def filter_search(self, queryset: DeploymentQuerySet, name: str, value: str) -> DeploymentQuerySet:
        return queryset.matching(value)


class LogFilters(filters.FilterSet):  # type: ignore[misc] # django-filter ships no types
    """Filters of one deployment's executions.

    What no index answers is searched for, among those that the rest of the filters leave: see `SearchMixin`.
    """

    #: What an index leads to, beside the deployment and the team.
    INDEXED: tuple[str, ...] = ("status", "created_after", "created_before", "deployment_id")

    status = AnyOfFilter(choices=ExecutionLog.Status.choices)
    trigger_type = AnyOfFilter(choices=ExecutionLog.Trigger.choices)
    version = WholeNumberFilter(method="filter_version")
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte", help_text="Inclusive.")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt", help_text="Exclusive.")
    search = filters.CharFilter(
        method="filter_search",
        help_text="A part of who triggered it or of its error, or its error code; a whole id finds that one alone.",
    )

    def filter_queryset(self, queryset: ExecutionLogQuerySet) -> ExecutionLogQuerySet:
        given = {name: value for name, value in self.form.cleaned_data.items() if value not in EMPTY_VALUES}
        for name in [name for name in given if name in self.INDEXED]:
            queryset = self.filters[name].filter(queryset, given.pop(name))
        if "search" in given and (one := _by_id(queryset, given["search"])) is not None:
            queryset = one
            del given["search"]
        found = queryset
        for name, value in given.items():
            found = self.filters[name].filter(found, value)
        return found.searched_among(queryset) if given else queryset

    def filter_version(self, queryset: ExecutionLogQuerySet, name: str, value: int) -> ExecutionLogQuerySet:
        versions = DesignVersion.objects.filter(number=value)
        # What no design has is not looked for in a hundred thousand executions.
        return queryset.filter(version__in=versions.values("id")) if versions.exists() else queryset.none()

    def filter_search(self, queryset: ExecutionLogQuerySet, name: str, value: str) -> ExecutionLogQuerySet:
        found = Q(triggered_by__icontains=value) | Q(error__icontains=value) | Q(error_code__iexact=value)
        return queryset.filter(found)


class ExecutionFilters(LogFilters):
    """Filters of all executions."""

    deployment_id = filters.UUIDFilter()
    design_id = filters.UUIDFilter()


class ExportFilters(ExecutionFilters):
    """The same, and what each line holds."""

    INDEXED = (*ExecutionFilters.INDEXED, "with_payloads")

    with_payloads = filters.ChoiceFilter(
        choices=[("true", "true"), ("false", "false")],
        method="take_all",
        help_text="Whether input, result and events are exported too; by default they are not.",
    )

    def take_all(self, queryset: ExecutionLogQuerySet, name: str, value: str) -> ExecutionLogQuerySet:
        return queryset


def _by_id(executions: ExecutionLogQuerySet, text: str) -> ExecutionLogQuerySet | None:
    """The one execution that the text is the id of; None where it is none's. Errors may quote other ids."""
    try:
        one = executions.filter(id=UUID(text))
    except ValueError:
        return None
    return one if one.exists() else None
