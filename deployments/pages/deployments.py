"""The first page: what is deployed."""

from typing import Any

from access.pages import Page
from deployments.models import Deployment


class DeploymentsPage(Page):
    """The deployments that the reader may see, newest first."""

    template_name = "deployments/deployments.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        deployments = Deployment.objects.visible_to(self.principal).live()
        return super().get_context_data(deployments=deployments, **kwargs)
