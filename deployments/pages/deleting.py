"""The dialog that asks before a deployment goes."""

from typing import Any

from django.db.models import Count

from access.rights import RIGHTS
from deployments.models.execution import UNFINISHED_STATUSES
from deployments.pages.one import DeploymentPage


class DeleteDialog(DeploymentPage):
    """Says what goes and what stays. The deployment itself is deleted over the API."""

    template_name = "deployments/delete_dialog.html"
    verbs = RIGHTS["deployment"]["destroy"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        unfinished = self.deployment.executions.filter(status__in=UNFINISHED_STATUSES).order_by()
        counts = dict(unfinished.values_list("status").annotate(Count("id")))
        return super().get_context_data(
            queued=counts.get("queued", 0),
            running=counts.get("running", 0),
            has_schedule=hasattr(self.deployment, "schedule"),
            **kwargs,
        )
