"""The JSON of alerts: their targets, in both directions, and what was told."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from deployments.alerts.payloads import without_result
from deployments.api.serializers import JsonObjectField
from deployments.models import AlertDelivery, AlertTarget, AlertTry
from deployments.models.alert import ALERT_EVENTS
from executor.json_types import JsonObject
from rest.serializers import StrictSerializer

MAX_URL_CHARACTERS = 2_000
MAX_ADDRESSES = 10
_EVENTS = [(event, event) for event in ALERT_EVENTS]


class AlertChanges(StrictSerializer):
    """What can be changed of a target. What is left out stays as it is."""

    url = serializers.CharField(
        required=False, max_length=MAX_URL_CHARACTERS, help_text="Of a webhook: https, with a public host."
    )
    addresses = serializers.ListField(
        child=serializers.EmailField(),
        required=False,
        min_length=1,
        max_length=MAX_ADDRESSES,
        help_text="Of an e-mail: to whom it goes.",
    )
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=_EVENTS), required=False, min_length=1, max_length=len(_EVENTS)
    )
    includes_result = serializers.BooleanField(
        required=False, help_text="Whether what an execution came to is told as well. Takes the right to view besides."
    )
    throttle_minutes = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=1_440,
        help_text="Of an e-mail: the first is sent at once; what comes within so many minutes goes into the next.",
    )
    enabled = serializers.BooleanField(
        required=False, help_text="Off, it is told of nothing new, and what is pending waits until it is on."
    )

    def validate_events(self, events: list[str]) -> list[str]:
        return [event for event in ALERT_EVENTS if event in events]


class AlertRequest(AlertChanges):
    """What makes a target: `kind` and `events`, and a `url` or `addresses`."""

    kind = serializers.ChoiceField(choices=AlertTarget.Kind.choices)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=_EVENTS), min_length=1, max_length=len(_EVENTS)
    )


class NoFields(StrictSerializer):
    """A body without anything."""


class AlertSerializer(serializers.ModelSerializer[AlertTarget]):
    """A target of alerts, without its secret."""

    url = serializers.CharField(source="shown_url", help_text="Of a webhook; else empty.")
    addresses = serializers.ListField(child=serializers.CharField(), help_text="Of an e-mail; else empty.")
    events = serializers.ListField(child=serializers.ChoiceField(choices=_EVENTS))

    class Meta:
        model = AlertTarget
        fields = [
            "id",
            "kind",
            "url",
            "addresses",
            "events",
            "includes_result",
            "throttle_minutes",
            "enabled",
            "off_reason",
            "failing_since",
            "previous_secret_until",
            "created_by",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class NewAlertSerializer(AlertSerializer):
    """A target with a secret that was just made: this is the only time that it is shown."""

    secret = serializers.CharField(help_text="`whsec_…` of a webhook; empty for an e-mail.")

    class Meta(AlertSerializer.Meta):
        fields = [*AlertSerializer.Meta.fields, "secret"]
        read_only_fields = fields


class AlertTrySerializer(serializers.ModelSerializer[AlertTry]):
    """One try of a delivery."""

    class Meta:
        model = AlertTry
        fields = ["at", "duration_ms", "status_code", "answer", "error"]
        read_only_fields = fields


class AlertDeliverySerializer(serializers.ModelSerializer[AlertDelivery]):
    """What a target was told, or is to be told. `id` is the `webhook-id`.

    A result is shown only where the context says `may_view`.
    """

    payload = serializers.SerializerMethodField(help_text="Its result is left out for who has no right to view.")
    execution_id = serializers.UUIDField(allow_null=True)
    log = AlertTrySerializer(many=True, help_text="Each try, the first one first.")

    class Meta:
        model = AlertDelivery
        fields = [
            "id",
            "event",
            "execution_id",
            "status",
            "tries",
            "next_try_at",
            "sent_with",
            "created_at",
            "ended_at",
            "payload",
            "log",
        ]
        read_only_fields = fields

    @extend_schema_field(JsonObjectField())
    def get_payload(self, delivery: AlertDelivery) -> JsonObject:
        told: JsonObject = delivery.payload
        return told if self.context.get("may_view") else without_result(told)
