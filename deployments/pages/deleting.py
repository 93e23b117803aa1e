"""The dialog that asks before a deployment goes."""

from typing import Any, ClassVar

from access.principal import Verb
from deployments.pages.one import DeploymentPage


class DeleteDialog(DeploymentPage):
    """Says what goes and what stays. The deployment itself is deleted over the API."""

    template_name = "deployments/delete_dialog.html"
    verbs: ClassVar[tuple[Verb, ...]] = ("deploy",)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        unfinished = self.deployment.executions.filter(status__in=("queued", "running"))
        statuses = list(unfinished.values_list("status", flat=True))
        return super().get_context_data(
            queued=statuses.count("queued"),
            running=statuses.count("running"),
            has_schedule=hasattr(self.deployment, "schedule"),
            **kwargs,
        )
