"""Lists by pages that stay right while rows are added: newest first, keyed by `created_at` and `id`."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from rest.problems import ApiProblem, FieldError
from rest.searching import end_of_step

DEFAULT_LIMIT = 100
MAX_LIMIT = 500

NEXT_DESCRIPTION = (
    "The next page; null on the last. A search looks at some thousands of rows at a time: its page may hold fewer than"
    " `limit`, even none, and have a next one all the same. The end is where `next` is null."
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class KeysetPagination(BasePagination):
    """`?limit=&cursor=`; answers `{results, next}` and `Link: <…>; rel="next"`, without a count.

    The rows need `created_at` and a primary key. A wrong limit or cursor is a 422. A page of a search may hold less
    than it could, even nothing, and still have a next one.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        limit = _limit(request.query_params.get("limit"))
        cursor = request.query_params.get("cursor")
        page = read_page(queryset, cursor, limit=limit)
        here = request.build_absolute_uri()
        self._next = None if page.next_cursor is None else replace_query_param(here, "cursor", page.next_cursor)
        return page.rows

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
                    "description": NEXT_DESCRIPTION,
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


@dataclass(frozen=True)
class ListPage:
    """Rows of a list, newest first, and the cursor of the next page; None on the last.

    `searched_to` is how far back a search has looked that has not filled the page yet, and goes on with the next.
    """

    rows: list[Any]
    next_cursor: str | None
    searched_to: datetime | None = None


def read_page(queryset: QuerySet[Any], cursor: str | None, *, limit: int) -> ListPage:
    """The page from the cursor on. Raises the 422 of a cursor that is none."""
    older = Q() if cursor is None else _before(*_read_cursor(cursor, queryset))
    end = end_of_step(queryset, older)
    found = queryset.filter(older) if end is None else queryset.filter(older, _until(end))
    rows = list(found.order_by("-created_at", "-pk")[: limit + 1])
    if len(rows) > limit:
        return ListPage(rows[:limit], _cursor_at(rows[limit - 1]))
    return ListPage(rows, None) if end is None else ListPage(rows, _cursor_at(end), end.created_at)


def _limit(given: str | None) -> int:
    if given is None:
        return DEFAULT_LIMIT
    if given.isascii() and given.isdigit() and len(given) <= 4 and 1 <= int(given) <= MAX_LIMIT:
        return int(given)
    raise _refusal("limit", f"limit is a whole number from 1 to {MAX_LIMIT}.")


def _before(created_at: datetime, pk: Any) -> Q:
    # The first condition is what an index on (created_at, id) can seek by.
    return Q(created_at__lte=created_at) & (Q(created_at__lt=created_at) | Q(pk__lt=pk))


def _until(row: Any) -> Q:
    """Down to this row, and with it."""
    return Q(created_at__gte=row.created_at) & (Q(created_at__gt=row.created_at) | Q(pk__gte=row.pk))


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
