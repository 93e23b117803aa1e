"""The first page: what is deployed, and how it goes."""

from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from access.pages import Page, is_part
from access.rights import RIGHTS
from deployments.models import Deployment
from deployments.pages.board import (
    PAGE_SIZE,
    SORTS,
    Choice,
    count_statuses,
    is_first_visit,
    live_deployments,
    with_outcomes,
)
from deployments.pages.parameters import uuid_of

LAYOUTS: Final = ("cards", "table")
#: So many deployments can be asked for at once: as many as a page shows.
MAX_IDS: Final = PAGE_SIZE


class DeploymentsPage(Page):
    """The deployments that the reader may see. To htmx it answers with the list alone."""

    template_name = "deployments/deployments.html"
    verbs = RIGHTS["deployment"]["list"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().get(request, *args, **kwargs)
        # One address, two answers: a browser's memory is not to show a part where the page was.
        patch_vary_headers(response, ["HX-Request"])
        return response

    def get_template_names(self) -> list[str]:
        return ["deployments/_list.html"] if is_part(self.request) else [self.template_name]

    def render_to_response(self, context: dict[str, Any], **response_kwargs: Any) -> Any:
        response = super().render_to_response(context, **response_kwargs)
        # A list that is only drawn anew is no new place to come back to.
        if is_part(self.request) and _shown_at(self.request) != context["address"]:
            response["HX-Push-Url"] = context["address"]
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        choice = Choice.of(self.request.GET)
        counts = count_statuses(self.principal)
        rows = choice.narrow(live_deployments(self.principal)).order_by(*SORTS[choice.sort][1])
        page = Paginator(rows, PAGE_SIZE).get_page(choice.page)
        return super().get_context_data(
            **board_context(self.request),
            choice=choice,
            address=address_of(choice),
            sorts=[(name, words) for name, (words, _) in SORTS.items()],
            statuses=[("", "All", counts[""]), *[(s.value, s.label, counts[s.value]) for s in Deployment.Status]],
            count_live=counts[""],
            page=page,
            shown=with_outcomes(list(page.object_list)),
            earlier=address_of(choice, page=page.number - 1),
            later=address_of(choice, page=page.number + 1),
            is_first_visit=bool(counts["active"]) and is_first_visit(self.principal),
            **kwargs,
        )


class DeploymentCards(Page):
    """Some deployments as the list shows them now, for a page whose numbers move: `?id=…&id=…`."""

    template_name = "deployments/_items.html"
    verbs = RIGHTS["deployment"]["list"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        rows = live_deployments(self.principal).filter(id__in=_ids(self.request.GET.getlist("id")))
        return super().get_context_data(**board_context(self.request), shown=with_outcomes(list(rows)), **kwargs)


def board_context(request: HttpRequest) -> dict[str, Any]:
    """What every deployment of the list is drawn with."""
    layout = request.COOKIES.get("layout", "")
    return {
        "layout": layout if layout in LAYOUTS else LAYOUTS[0],
        "origin": f"{request.scheme}://{request.get_host()}",
    }


def address_of(choice: Choice, *, page: int | None = None) -> str:
    """The address that shows this choice, or another page of it."""
    given = {name: value for name, value in choice.parameters().items() if value}
    given.pop("page", None)
    number = choice.page if page is None else page
    query = urlencode(given if number == 1 else given | {"page": number})
    return f"{reverse('deployments')}?{query}" if query else reverse("deployments")


def _shown_at(request: HttpRequest) -> str:
    """The path and query of the page that htmx asks from; empty where it says no address."""
    try:
        address = urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:
        return ""
    return f"{address.path}?{address.query}" if address.query else address.path


def _ids(given: list[str]) -> list[UUID]:
    return [found for text in given[:MAX_IDS] if (found := uuid_of(text)) is not None]
