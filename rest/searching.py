"""Searches that no index answers: they look at so many rows at a time, and what reads them says how far it has come."""

from typing import TYPE_CHECKING, Any, Self

from django.db.models import Q, QuerySet

if TYPE_CHECKING:
    _QuerySet = QuerySet[Any]
else:
    _QuerySet = object


class SearchMixin(_QuerySet):
    """For a QuerySet whose rows may have to be searched for one by one.

    Whatever is asked, one page or one count looks at no more than `SEARCH_STEP` of them: a search for what is not there
    takes no longer than another, and goes on from where it has come to.
    """

    SEARCH_STEP = 20_000
    #: The rows that are looked at one by one; None where an index leads to what is asked for.
    searched: QuerySet[Any] | None = None

    def searched_among(self, rows: QuerySet[Any]) -> Self:
        """These, which are some of `rows`, and are to be found by looking at those."""
        found = self.all()
        found.searched = rows
        return found

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc] # the stubs know it not
        clone.searched = self.searched
        return clone


def end_of_step(queryset: QuerySet[Any], within: Q) -> Any | None:
    """The last row, with `created_at` and `pk` alone, that a search from the newest of `within` on looks at.

    None where it comes to the end, and where nothing has to be searched for.
    """
    if not isinstance(queryset, SearchMixin) or queryset.searched is None or queryset.query.is_empty():
        return None
    length = queryset.SEARCH_STEP
    rows = queryset.searched.filter(within).select_related(None).only("created_at").order_by("-created_at", "-pk")
    step = list(rows[length - 1 : length + 1])
    return step[0] if len(step) > 1 else None
