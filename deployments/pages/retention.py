"""What would go by the periods that somebody is typing, before they are saved."""

from typing import Any

from django.utils import timezone

from access.rights import RIGHTS
from deployments.api.serializers import RetentionSerializer
from deployments.pages.one import DeploymentPage
from deployments.retention.cutoffs import Scope
from deployments.retention.policy import RETENTION_FIELDS, Bound, RetentionFields
from deployments.retention.preview import Removable, count_removable


class RetentionPreview(DeploymentPage):
    """`?keep_payload_days=30`: a field that is left empty is the site's default."""

    template_name = "deployments/_retention_preview.html"
    verbs = RIGHTS["deployment"]["retention"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        typed = {name: self.request.GET.get(name, "") or None for name in RETENTION_FIELDS}
        body = RetentionSerializer(data=typed)
        if not body.is_valid():
            return super().get_context_data(is_wrong=True, **kwargs)
        scope = Scope.of(self.deployment, RetentionFields(**body.validated_data))
        return super().get_context_data(
            payloads=bound_in_words(scope.policy.payloads),
            history=bound_in_words(scope.policy.history),
            would_go=removable_in_words(count_removable(scope, now=timezone.now())),
            **kwargs,
        )


def removable_in_words(found: Removable) -> str:
    """`12 executions whole, and input, result and events of 340 others`; empty where nothing would go."""
    parts = []
    if found.executions:
        parts.append(f"{found.executions:,} execution{'' if found.executions == 1 else 's'} whole")
    if found.payloads:
        others = "others" if found.executions else f"execution{'' if found.payloads == 1 else 's'}"
        parts.append(f"input, result and events of {found.payloads:,} {others}")
    at_least = "at least " if found.is_at_least else ""
    return at_least + ", and ".join(parts)


def bound_in_words(bound: Bound) -> str:
    """`for 30 days, of the last 1,000 executions at most`."""
    parts = []
    if bound.days is not None:
        parts.append(f"for {bound.days:,} day{'' if bound.days == 1 else 's'}")
    if bound.last is not None:
        parts.append(f"of the last {bound.last:,} executions at most")
    return ", ".join(parts) or "for ever"
