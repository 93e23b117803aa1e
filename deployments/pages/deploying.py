"""The dialog that deploys a design."""

import json
from typing import Any, Final

from django.utils.text import slugify

from access.pages import Page
from access.rights import RIGHTS
from deployments.api.example_inputs import example_input
from deployments.endpoint_path import InvalidEndpointPath, canonical_endpoint_path
from deployments.models import Deployment
from deployments.models.deployment import ENDPOINT_PREFIX
from deployments.pages.parameters import uuid_of
from designs.drafts import problems_of
from designs.models import DesignVersion, OrchestrationDesign
from executor.errors import Problem

#: So many designs can be chosen from; others are deployed from their own page.
MAX_DESIGNS: Final = 500
MAX_VERSIONS: Final = 100


class DeployDialog(Page):
    """A design, an endpoint, a version, a schedule. It is deployed over the API."""

    template_name = "deployments/deploy_dialog.html"
    verbs = RIGHTS["design"]["deploy"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        visible = OrchestrationDesign.objects.visible_to(self.principal, *self.verbs)
        choices = list(visible.order_by("name", "id").values_list("id", "name")[:MAX_DESIGNS])
        chosen = uuid_of(self.request.GET.get("design", ""))
        design = self.find(OrchestrationDesign.objects.all(), pk=chosen) if chosen else None
        return super().get_context_data(
            design=design, choices=choices, **({} if design is None else self._of_design(design)), **kwargs
        )

    def _of_design(self, design: OrchestrationDesign) -> dict[str, Any]:
        versions = DesignVersion.objects.filter(design=design).defer("document")[:MAX_VERSIONS]
        blocks = [block["id"] for block in design.draft.get("blocks", [])]
        return {
            "versions": list(versions),
            "chosen_version": self.request.GET.get("version", "latest"),
            "problems": [_linked(problem, blocks) for problem in problems_of(design)],
            "blocks": json.dumps(blocks),
            "schema": json.dumps(design.draft.get("input_schema") or {}),
            "example": json.dumps(example_input(design.draft.get("input_schema"))),
            "proposal": propose_endpoint(design.name),
            "prefix": self.request.build_absolute_uri(ENDPOINT_PREFIX),
        }


def propose_endpoint(name: str) -> str:
    """A free path after the design's name, without what all have in common."""
    try:
        path = canonical_endpoint_path(slugify(name) or "my-endpoint")
    except InvalidEndpointPath as invalid:
        path = invalid.proposal
    live = Deployment.objects.live().filter(endpoint_path__startswith=path)
    taken = set(live.values_list("endpoint_path", flat=True))
    proposals = (path, *(f"{path}-{number}" for number in range(2, len(taken) + 2)))
    return next(found for found in proposals if found not in taken).removeprefix(ENDPOINT_PREFIX)


def _linked(problem: Problem, blocks: list[str]) -> dict[str, str]:
    """With the id of the block that the pointer leads into, empty where it leads into none."""
    parts = problem.pointer.split("/")
    is_block = len(parts) > 2 and parts[1] == "blocks" and parts[2].isdigit() and int(parts[2]) < len(blocks)
    return {"message": problem.message, "block": blocks[int(parts[2])] if is_block else ""}
