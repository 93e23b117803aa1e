"""What the draft of a design has otherwise than one of its versions: a part of the designer's panel."""

from typing import Any

from django.shortcuts import get_object_or_404

from access.pages import Page
from access.rights import RIGHTS
from designs.differences import differences
from designs.models import DesignVersion, OrchestrationDesign


class DraftDifferences(Page):
    """From that version to what is saved now, told as in the dialog that makes a version live."""

    template_name = "designs/_draft_differences.html"
    verbs = RIGHTS["design"]["version"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        design = self.find(OrchestrationDesign.objects.all(), pk=kwargs["design_id"])
        version = get_object_or_404(DesignVersion.objects.filter(design=design), number=kwargs["number"])
        return super().get_context_data(found=differences(version.document, design.draft), **kwargs)
