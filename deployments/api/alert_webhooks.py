"""What the OpenAPI document says of the requests that we send: the section `webhooks`."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiResponse, OpenApiWebhook, extend_schema
from rest_framework import serializers

from deployments.api.serializers import AnyJsonField
from deployments.models import ExecutionLog
from deployments.models.alert import ALERT_EVENTS, SWITCHED_OFF_EVENT, TEST_EVENT


class ExecutionAlertData(serializers.Serializer[Any]):
    """An execution that has ended."""

    execution_id = serializers.UUIDField()
    deployment_id = serializers.UUIDField()
    endpoint_path = serializers.CharField()
    design_name = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(choices=ExecutionLog.Status.choices)
    trigger_type = serializers.ChoiceField(choices=ExecutionLog.Trigger.choices)
    triggered_by = serializers.CharField()
    scheduled_for = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField(allow_null=True)
    error_code = serializers.CharField()
    error = serializers.CharField(help_text="A sentence; empty where nothing failed.")
    block_id = serializers.CharField(allow_null=True)
    agent = serializers.CharField(allow_null=True)
    cost = serializers.CharField(allow_null=True, help_text="USD; null: no price is known.")
    url = serializers.CharField(help_text="Its page.")
    result = AnyJsonField(required=False, help_text="Where the target includes results; null if it is too long.")
    result_left_out = serializers.BooleanField(required=False)


class DeploymentAlertData(serializers.Serializer[Any]):
    """What happened to a deployment, or to one of its targets."""

    deployment_id = serializers.UUIDField()
    endpoint_path = serializers.CharField()
    design_name = serializers.CharField()
    url = serializers.CharField(help_text="Its history.")
    reason = serializers.CharField(required=False, help_text="Of schedule.paused and alert.switched_off.")
    target_id = serializers.UUIDField(required=False, help_text="Of alert.switched_off.")
    kind = serializers.CharField(required=False, help_text="Of alert.switched_off: webhook or email.")
    message = serializers.CharField(required=False, help_text="Of alert.test.")


class ExecutionAlert(serializers.Serializer[Any]):
    """The body of alerts about executions."""

    type = serializers.CharField()
    timestamp = serializers.DateTimeField(help_text="When it happened.")
    data = ExecutionAlertData()  # type: ignore[assignment] # a field of that name


class DeploymentAlert(serializers.Serializer[Any]):
    """The body of all other alerts."""

    type = serializers.CharField()
    timestamp = serializers.DateTimeField(help_text="When it happened.")
    data = DeploymentAlertData()  # type: ignore[assignment] # a field of that name


def body_of(event: str) -> type[serializers.Serializer[Any]]:
    """What is sent of an event."""
    return ExecutionAlert if event.startswith(("execution.", "budget.")) else DeploymentAlert


#: drf-spectacular knows no parameters of webhooks.
_SIGNED: Final = (
    "Signed as Standard Webhooks 1.0.0 has it, in the headers `webhook-id` (the same with every try),"
    " `webhook-timestamp` (of this try, in Unix seconds) and `webhook-signature` (`v1,<base64>`, several with spaces"
    " between)."
)
WEBHOOKS: Final = [
    OpenApiWebhook(
        event,
        extend_schema(
            summary=f"An alert: {event}",
            description=_SIGNED,
            tags=["alerts"],
            request=body_of(event),
            responses={
                "2XX": OpenApiResponse(description="It was taken."),
                410: OpenApiResponse(description="Nothing more is wanted."),
            },
        ),
    )
    for event in (*ALERT_EVENTS, SWITCHED_OFF_EVENT, TEST_EVENT)
]
