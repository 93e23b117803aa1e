"""A page about one deployment."""

from functools import cached_property
from typing import Any
from uuid import UUID

from access.pages import Page
from deployments.models import Deployment
from deployments.models.deployment import DeploymentQuerySet


class DeploymentPage(Page):
    """A live deployment that the reader may see, by the id in the address; else a 404."""

    @cached_property
    def deployment(self) -> Deployment:
        pk: UUID = self.kwargs["pk"]
        found: Deployment = self.find(self.get_queryset(), pk=pk)
        return found

    def get_queryset(self) -> DeploymentQuerySet:
        return Deployment.objects.live()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(deployment=self.deployment, **kwargs)
