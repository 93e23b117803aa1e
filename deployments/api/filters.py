"""What lists can be filtered by: allow-lists, and a parameter that is on none is refused by name."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from rest_framework.request import Request

from deployments.endpoint_path import InvalidEndpointPath, canonical_endpoint_path
from deployments.models import Deployment, ExecutionLog
from rest.problems import ApiProblem, FieldError

#: What every list takes: the page, and the renderer of the browsable API.
ALWAYS = frozenset({"limit", "cursor", "format"})


class AllowListBackend(filters.DjangoFilterBackend):  # type: ignore[misc] # django-filter ships no types
    """Applies the view's filters, and refuses a parameter that is none of them."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filterset_class = self.get_filterset_class(view, queryset)
        known = ALWAYS | set(filterset_class.base_filters if filterset_class else ())
        for name in request.query_params:
            if name not in known:
                raise _unknown_parameter(name, known)
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return filtered


def _unknown_parameter(name: str, known: frozenset[str] | set[str]) -> ApiProblem:
    shown = name.encode("utf-8", "replace").decode()[:100]
    sentence = f"There is no parameter {shown!r} here. There are: {', '.join(sorted(known))}."
    return ApiProblem(
        422, "validation-failed", sentence, errors=[FieldError("", "unknown_parameter", sentence)], parameter=shown
    )


class WholeNumberFilter(filters.Filter):  # type: ignore[misc] # django-filter ships no types
    """An integer; `NumberFilter` takes fractions and exponents too."""

    field_class = forms.IntegerField


class DeploymentFilters(filters.FilterSet):  # type: ignore[misc] # django-filter ships no types
    """Filters of deployments."""

    endpoint_path = filters.CharFilter(method="filter_endpoint_path", help_text="In any spelling.")
    status = filters.MultipleChoiceFilter(choices=Deployment.Status.choices)
    search = filters.CharFilter(method="filter_search", help_text="A part of the design's name or of the path.")

    class Meta:
        model = Deployment
        fields: list[str] = []

    def filter_endpoint_path(self, queryset: QuerySet[Deployment], name: str, value: str) -> QuerySet[Deployment]:
        try:
            return queryset.filter(endpoint_path=canonical_endpoint_path(value))
        except InvalidEndpointPath:
            return queryset.none()

    def filter_search(self, queryset: QuerySet[Deployment], name: str, value: str) -> QuerySet[Deployment]:
        return queryset.filter(Q(design_name__icontains=value) | Q(endpoint_path__icontains=value))


class LogFilters(filters.FilterSet):  # type: ignore[misc] # django-filter ships no types
    """Filters of one deployment's executions."""

    status = filters.MultipleChoiceFilter(choices=ExecutionLog.Status.choices)
    trigger_type = filters.MultipleChoiceFilter(choices=ExecutionLog.Trigger.choices)
    version = WholeNumberFilter(field_name="version__number")
    created_after = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte", help_text="Inclusive.")
    created_before = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt", help_text="Exclusive.")
    search = filters.CharFilter(
        method="filter_search", help_text="A part of who triggered it or of its error, or a whole id."
    )

    def filter_search(self, queryset: QuerySet[ExecutionLog], name: str, value: str) -> QuerySet[ExecutionLog]:
        found = Q(triggered_by__icontains=value) | Q(error__icontains=value) | Q(error_code__iexact=value)
        with suppress(ValueError):
            found |= Q(id=UUID(value))
        return queryset.filter(found)


class ExecutionFilters(LogFilters):
    """Filters of all executions."""

    deployment_id = filters.UUIDFilter()
    design_id = filters.UUIDFilter()
