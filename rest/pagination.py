"""Lists by pages that stay right while rows are added: newest first, keyed by `created_at` and `id`."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from rest.problems import ApiProblem, FieldError

DEFAULT_LIMIT = 100
MAX_LIMIT = 500

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class KeysetPagination(BasePagination):
    """`?limit=&cursor=`; answers `{results, next}` and `Link: <…>; rel="next"`, without a count.

    The rows need `created_at` and a primary key. A wrong limit or cursor is a 422.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        limit = _limit(request.query_params.get("limit"))
        cursor = request.query_params.get("cursor")
        rows, cursor = read_page(queryset, cursor, limit=limit)
        here = request.build_absolute_uri()
        self._next = None if cursor is None else replace_query_param(here, "cursor", cursor)
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        headers = {"Link": f'<{self._next}>; rel="next"'} if self._next else {}
        return Response({"results": data, "next": self._next}, headers=headers)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {
                    "type": ["string", "null"],
                    "format": "uri",
                    "description": "The next page; null on the last.",
                },
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        return [
            {"name": "limit", "in": "query", "schema": limit, "description": "Rows of a page."},
            {
                "name": "cursor",
                "in": "query",
                "schema": {"type": "string"},
                "description": "Where the page starts: take it from `next`, do not make one.",
            },
        ]


def read_page(queryset: QuerySet[Any], cursor: str | None, *, limit: int) -> tuple[list[Any], str | None]:
    """The rows from the cursor on, newest first, and the cursor of the next page; None on the last.

    Raises the 422 of a cursor that is none.
    """
    rows = list(_after(queryset, cursor).order_by("-created_at", "-pk")[: limit + 1])
    return rows[:limit], _cursor_at(rows[limit - 1]) if len(rows) > limit else None


def _limit(given: str | None) -> int:
    if given is None:
        return DEFAULT_LIMIT
    if given.isascii() and given.isdigit() and len(given) <= 4 and 1 <= int(given) <= MAX_LIMIT:
        return int(given)
    raise _refusal("limit", f"limit is a whole number from 1 to {MAX_LIMIT}.")


def _after(queryset: QuerySet[Any], cursor: str | None) -> QuerySet[Any]:
    if cursor is None:
        return queryset
    created_at, pk = _read_cursor(cursor, queryset)
    # The first condition is what an index on (created_at, id) can seek by.
    older_or_same = queryset.filter(created_at__lte=created_at)
    return older_or_same.filter(Q(created_at__lt=created_at) | Q(pk__lt=pk))


def _cursor_at(row: Any) -> str:
    microseconds = (row.created_at - _EPOCH) // _MICROSECOND
    return base64.urlsafe_b64encode(f"{microseconds}.{row.pk}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str, queryset: QuerySet[Any]) -> tuple[datetime, Any]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        microseconds, _, pk = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition(".")
        key = queryset.model._meta.pk  # noqa: SLF001 - Django's documented API
        value = key.to_python(pk)
        key.run_validators(value)  # an integer that the database cannot hold
        return _EPOCH + int(microseconds) * _MICROSECOND, value
    except (ValueError, OverflowError, binascii.Error, ValidationError):
        raise _refusal("cursor", "cursor is not one of ours. Take it from `next`, or leave it out.") from None


def _refusal(parameter: str, sentence: str) -> ApiProblem:
    return ApiProblem(
        422, "validation-failed", sentence, errors=[FieldError("", "invalid", sentence)], parameter=parameter
    )
