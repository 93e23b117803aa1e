"""How long a deployment's history is kept, as the API says it, and what would go by other periods."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request

from deployments.api.serializers import RetentionSerializer
from deployments.models import Deployment
from deployments.retention.cutoffs import Scope
from deployments.retention.policy import RETENTION_FIELDS, Policy, RetentionFields
from deployments.retention.preview import count_removable
from rest.filters import ALWAYS, refuse_unknown_parameters


class WouldGo(serializers.Serializer[Any]):
    """What the next sweeps would remove."""

    executions = serializers.IntegerField(help_text="Executions that go whole.")
    payloads = serializers.IntegerField(help_text="Others, of which input, result and events go.")
    is_at_least = serializers.BooleanField(help_text="Whether there are more than were counted.")


class RetentionAnswer(serializers.Serializer[Any]):
    """What is set, what is in force, and what that comes to."""

    retention = RetentionSerializer(help_text="As it is set, or as the parameters say.")
    in_force = RetentionSerializer(help_text="With the site's defaults. Null: for ever.")
    would_go = WouldGo()


def read_retention(request: Request) -> dict[str, int | None]:
    """The periods that the address names; an empty one is null."""
    refuse_unknown_parameters(request, ALWAYS | set(RETENTION_FIELDS))
    given = {name: value or None for name, value in request.query_params.items() if name in RETENTION_FIELDS}
    body = RetentionSerializer(data=given, partial=True)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def answer_retention(deployment: Deployment, changes: dict[str, int | None]) -> dict[str, Any]:
    """What is in force of the deployment with these changes, and what would go."""
    fields = RetentionFields.of(deployment).changed_by(changes)
    would_go = count_removable(Scope.of(deployment, fields), now=timezone.now())
    answer = {
        "retention": asdict(fields),
        "in_force": _in_force(Policy.of(fields)),
        "would_go": would_go,
    }
    return dict(RetentionAnswer(answer).data)


def _in_force(policy: Policy) -> dict[str, int | None]:
    return {
        "keep_payload_days": policy.payloads.days,
        "keep_payload_last": policy.payloads.last,
        "keep_history_days": policy.history.days,
        "keep_history_last": policy.history.last,
    }
