"""The JSON of API keys, in both directions."""

from uuid import UUID

from rest_framework import serializers

from deployments.api.serializers import MAX_INTEGER, RateLimits
from deployments.keys import DEFAULT_GRACE, MAX_GRACE, SCOPES
from deployments.models import ApiKey
from deployments.models.api_key import require_future, require_one_line
from designs.api.teams import TEAM_HELP
from rest.serializers import StrictSerializer


class KeyLimitsSerializer(RateLimits):
    """The limits of an API key, over all that it opens. Null means none."""

    max_concurrent = serializers.IntegerField(
        allow_null=True,
        default=None,
        min_value=1,
        max_value=100_000,
        help_text="Executions at once, those that wait included; more are refused.",
    )
    daily_max_executions = serializers.IntegerField(
        allow_null=True, default=None, min_value=1, max_value=MAX_INTEGER, help_text="Executions of a day (UTC)."
    )


class KeyRequest(StrictSerializer):
    """What makes an API key."""

    name = serializers.CharField(max_length=100, validators=[require_one_line])
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(SCOPES)), min_length=1, max_length=len(SCOPES), required=False
    )
    deployments = serializers.ListField(
        child=serializers.UUIDField(),
        min_length=1,
        max_length=1_000,
        allow_null=True,
        default=None,
        help_text="Ids of the deployments that the key is for; null is all of the team's.",
    )
    team = serializers.CharField(allow_null=True, default=None, help_text=f"{TEAM_HELP} With deployments: theirs.")
    expires_at = serializers.DateTimeField(
        allow_null=True,
        default=None,
        validators=[require_future],
        help_text="From then on it opens nothing. Null: it lasts until it is revoked.",
    )
    limits = KeyLimitsSerializer(required=False)


class RotationRequest(StrictSerializer):
    """What gives an API key another secret."""

    grace_seconds = serializers.IntegerField(
        default=int(DEFAULT_GRACE.total_seconds()),
        min_value=0,
        max_value=int(MAX_GRACE.total_seconds()),
        help_text="How long the secret that it had opens the same still; 0 ends it at once.",
    )


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    """An API key, without the key."""

    team = serializers.CharField(source="team.name", help_text="The name of the team that it belongs to.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=list(SCOPES)))
    deployments = serializers.SerializerMethodField(help_text="Null: all of the team's.")
    limits = KeyLimitsSerializer(source="*")

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "team",
            "prefix",
            "scopes",
            "deployments",
            "limits",
            "created_by",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
            "rotated_at",
            "previous_until",
            "previous_used_at",
        ]
        read_only_fields = fields
        extra_kwargs = {
            "last_used_at": {"help_text": "To the minute, with whichever of its secrets."},
            "rotated_at": {"help_text": "When it was given the secret that it has."},
            "previous_until": {"help_text": "Until when the secret that it had before opens the same."},
            "previous_used_at": {"help_text": "When that one was last used, to the minute."},
        }

    def get_deployments(self, key: ApiKey) -> list[UUID] | None:
        return None if key.all_deployments else sorted(deployment.id for deployment in key.deployments.all())


class NewKeySerializer(KeySerializer):
    """A key that was just made, with the key itself: this is the only time that it is shown."""

    key = serializers.SerializerMethodField()

    class Meta(KeySerializer.Meta):
        fields = [*KeySerializer.Meta.fields, "key"]
        read_only_fields = fields

    def get_key(self, key: ApiKey) -> str:
        return str(self.context["plaintext"])
