"""The list of designs, each with where it is deployed; and the samples, to begin a design of one's own from."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Prefetch, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

from access.pages import Page
from access.principal import ALL
from access.rights import RIGHTS
from access.team_choice import teams_to_choose
from deployments.models import Deployment
from designs.models import OrchestrationDesign
from designs.problem_counts import count_problems
from designs.samples import load_samples

PAGE_SIZE = 50


class DesignsPage(Page):
    """The designs that the reader may see, newest first. `?search=` narrows them, `?page=` leads on."""

    template_name = "designs/designs.html"
    verbs = RIGHTS["design"]["list"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        # PostgreSQL takes no NUL; no name has one.
        search = self.request.GET.get("search", "").replace("\0", "").strip()[:200]
        page = Paginator(self._find(search), PAGE_SIZE).get_page(self.request.GET.get("page"))
        designs = list(page.object_list)
        counts = count_problems(designs)
        rows = [{"design": design, "problems": counts.get(design.pk, 0)} for design in designs]
        teams = self._teams()
        return super().get_context_data(
            page=page, rows=rows, search=search, samples=load_samples(), teams=teams, **kwargs
        )

    def _teams(self) -> list[str]:
        """The names of those that a new design may belong to, the default one first; none where there is no choice."""
        verbs = RIGHTS["design"]["create"]
        candidates = self.principal.teams_with(*verbs)
        if candidates is not ALL and len(candidates) < 2:
            return []
        names = list(teams_to_choose(self.principal, *verbs).values())
        return names if len(names) > 1 else []

    def _find(self, search: str) -> QuerySet[OrchestrationDesign]:
        live = Deployment.objects.visible_to(self.principal).live().order_by("endpoint_path")
        deployed = Prefetch("deployments", queryset=live, to_attr="live_deployments")
        designs = OrchestrationDesign.objects.visible_to(self.principal).with_latest_version().select_related("team")
        designs = designs.defer("draft")
        if search:
            designs = designs.filter(Q(name__icontains=search) | Q(description__icontains=search))
        return designs.prefetch_related(deployed)


class SampleDocument(Page):
    """The document of a sample, as the gallery hands it to the API."""

    verbs = RIGHTS["site"]["read_samples"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        for sample in load_samples():
            if sample.endpoint_path == kwargs["sample"]:
                return JsonResponse(sample.document)
        raise Http404("There is no such sample.")
