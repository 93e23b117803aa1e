"""What one target of a deployment's alerts was told, as a part of the dialog that configures it."""

from typing import Any, Final
from uuid import UUID

from django.shortcuts import get_object_or_404

from access.rights import RIGHTS
from deployments.models import AlertTarget
from deployments.pages.one import DeploymentPage

MAX_SHOWN: Final = 20


class AlertLog(DeploymentPage):
    """The newest deliveries, each with its tries. The API has them all."""

    template_name = "deployments/_alert_log.html"
    verbs = RIGHTS["alert"]["deliveries"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        alert_id: UUID = self.kwargs["alert_id"]
        targets = AlertTarget.objects.present().sealed().filter(deployment=self.deployment)
        target = get_object_or_404(targets, id=alert_id)
        newest = target.deliveries.prefetch_related("log")[: MAX_SHOWN + 1]
        return super().get_context_data(
            target=target, deliveries=newest[:MAX_SHOWN], has_more=len(newest) > MAX_SHOWN, **kwargs
        )
