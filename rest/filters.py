"""Filters of lists: each view names its own, and a parameter that is none of them is refused by name."""

from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework.request import Request

from rest.problems import ApiProblem, FieldError

#: What every list takes: the page, and the renderer of the browsable API.
ALWAYS = frozenset({"limit", "cursor", "format"})


class AllowListBackend(filters.DjangoFilterBackend):  # type: ignore[misc] # django-filter ships no types
    """Applies the view's filters, and refuses a parameter that is none of them."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filterset_class = self.get_filterset_class(view, queryset)
        refuse_unknown_parameters(request, ALWAYS | set(filterset_class.base_filters if filterset_class else ()))
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return filtered


def refuse_unknown_parameters(request: Request, known: Collection[str]) -> None:
    """Raises the 422 for a parameter that is none of these."""
    for name in request.query_params:
        if name not in known:
            raise _unknown_parameter(name, known)


def _unknown_parameter(name: str, known: Collection[str]) -> ApiProblem:
    shown = name.encode("utf-8", "replace").decode()[:100]
    sentence = f"There is no parameter {shown!r} here. There are: {', '.join(sorted(known))}."
    return ApiProblem(
        422, "validation-failed", sentence, errors=[FieldError("", "unknown_parameter", sentence)], parameter=shown
    )
