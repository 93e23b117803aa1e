"""What ran: a page for all executions, and a dialog for those of one deployment."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from access.pages import Page, is_part
from access.rights import RIGHTS
from deployments.api.filters import ExecutionFilters
from deployments.models import Deployment, ExecutionLog
from deployments.models.execution import NEWEST_FIRST, UNFINISHED_STATUSES
from deployments.pages.histogram import Histogram, count_over_time
from rest.pagination import read_page
from rest.problems import ApiProblem

ROWS = 50
MOST_RUNNING = 10
MOST_DEPLOYMENTS = 1_000
#: The page's parameters, and what the API's filters call them.
FILTERS = {
    "deployment": "deployment_id",
    "status": "status",
    "trigger": "trigger_type",
    "from": "created_after",
    "to": "created_before",
    "version": "version",
    "search": "search",
}


class HistoryPage(Page):
    """The executions that the reader may see, newest first, by the filters in the address.

    htmx asks for the parts: `?part=list` is all but the filters, `?part=found` the rows, `?part=running` what runs now,
    and `?part=histogram` the counts over time, which may take as long as all the rest.
    """

    verbs = RIGHTS["execution"]["list"]
    page_template = "deployments/history_page.html"
    PARTS = {
        "list": "deployments/_history.html",
        "found": "deployments/_history_found.html",
        "running": "deployments/_history_running.html",
        "histogram": "deployments/_history_histogram.html",
    }

    def get_template_names(self) -> list[str]:
        return [self.PARTS.get(self.request.GET.get("part", ""), self.page_template)]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        shown = _shown(ExecutionLog.objects.visible_to(self.principal))
        filters = ExecutionFilters(self._filter_data(**kwargs), queryset=shown)
        context = super().get_context_data(given=self.request.GET, address=self.request.path, **kwargs)
        context |= {"statuses": ExecutionLog.Status.choices, "triggers": ExecutionLog.Trigger.choices}
        if not filters.is_valid():
            return context | {"errors": _errors(filters), "deployments": self._deployments()}
        part = self.request.GET.get("part")
        if part == "running":
            return context | {"running": _running(filters.qs)}
        if part == "histogram":
            return context | {"histogram": _histogram(filters)}
        if part == "found":
            return context | self._found(filters)
        return context | self._found(filters) | self._list(filters)

    def _found(self, filters: ExecutionFilters) -> dict[str, Any]:
        try:
            page = read_page(filters.qs, self.request.GET.get("cursor"), limit=ROWS)
        except ApiProblem as problem:
            raise Http404(str(problem)) from None
        return {
            "rows": page.rows,
            "older": None if page.next_cursor is None else self._address(cursor=page.next_cursor),
            "newest": self._address() if "cursor" in self.request.GET else None,
            "is_filtered": any(self.request.GET.get(name) for name in FILTERS),
            "searched_to": page.searched_to,
        }

    def _list(self, filters: ExecutionFilters) -> dict[str, Any]:
        return {
            "running_address": self._address(part="running"),
            "histogram_address": self._address(part="histogram"),
            "running": _running(filters.qs) if "cursor" not in self.request.GET else [],
            "deployments": self._deployments() if self.request.GET.get("part") != "list" else [],
        }

    def _filter_data(self, **_: Any) -> QueryDict:
        """The filters under the names of the API; an empty field is none."""
        data = QueryDict(mutable=True)
        for name, of_api in FILTERS.items():
            if values := [value for value in self.request.GET.getlist(name) if value]:
                data.setlist(of_api, values)
        return data

    def _address(self, **parameters: str) -> str:
        """This address with the same filters, at another place of the list."""
        query = QueryDict(mutable=True)
        for name in FILTERS:
            if values := [value for value in self.request.GET.getlist(name) if value]:
                query.setlist(name, values)
        query.update(parameters)
        return f"{self.request.path}?{query.urlencode()}"

    def _deployments(self) -> list[Deployment]:
        """What can be filtered by: undeployed ones too, since their history stays."""
        rows = Deployment.objects.visible_to(self.principal).only("id", "design_name", "endpoint_path", "deleted_at")
        return list(rows.order_by("design_name", "-created_at")[:MOST_DEPLOYMENTS])


class HistoryDialog(HistoryPage):
    """The history of one deployment, undeployed or not."""

    verbs = RIGHTS["deployment"]["logs"]
    page_template = "deployments/history_dialog.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A visit of the address itself is shown the page."""
        if is_part(request):
            return super().get(request, *args, **kwargs)
        return redirect(f"{reverse('executions')}?deployment={kwargs['deployment_id']}")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        deployment = self.find(Deployment.objects.all(), id=self.kwargs["deployment_id"])
        page = f"{reverse('executions')}?deployment={deployment.id}"
        return super().get_context_data(deployment=deployment, page=page, **kwargs)

    def _filter_data(self, **context: Any) -> QueryDict:
        data = super()._filter_data()
        data["deployment_id"] = str(context["deployment"].id)
        return data

    def _deployments(self) -> list[Deployment]:
        return []


def _shown(executions: QuerySet[ExecutionLog]) -> QuerySet[ExecutionLog]:
    """What a row shows, and nothing of what is large."""
    columns = ("status", "trigger_type", "triggered_by", "error", "error_code", "reason", "cost", "created_at")
    related = ("design__name", "version__number", "deployment__endpoint_path", "deployment__deleted_at")
    rows = executions.select_related("design", "version", "deployment")
    return rows.only(*columns, "started_at", "duration_ms", "scheduled_for", "parent_id", *related)


def _running(executions: QuerySet[ExecutionLog]) -> list[ExecutionLog]:
    return list(executions.filter(status__in=UNFINISHED_STATUSES).order_by(*NEWEST_FIRST)[:MOST_RUNNING])


def _histogram(filters: ExecutionFilters) -> Histogram:
    given = filters.form.cleaned_data
    after, before = given["created_after"], given["created_before"]
    return count_over_time(filters.qs, after=after, before=before, now=timezone.now())


def _errors(filters: ExecutionFilters) -> dict[str, str]:
    """What is wrong with the filters, by the page's names of them."""
    names = {of_api: name for name, of_api in FILTERS.items()}
    return {names[field]: " ".join(messages) for field, messages in filters.form.errors.items() if field in names}
