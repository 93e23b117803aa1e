"""The JSON of designs, their versions and provider accounts."""

from decimal import Decimal, InvalidOperation
from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from designs.api.schemas import DocumentField
from designs.api.teams import TEAM_HELP
from designs.base_urls import host_of, problem_with_base_url
from designs.drafts import problems_of
from designs.models import DesignVersion, OrchestrationDesign, ProviderAccount
from designs.providers import may_be_private, reserved_names
from rest.serializers import StrictModelSerializer

MAX_PRICES = 500
MAX_PRICE = Decimal(1_000_000)
#: Of a price's exponent: written out, a price has so many digits after the point at most.
MAX_DECIMALS = 12


# The plain name is the RFC 9457 problem's.
@extend_schema_serializer(component_name="DesignProblem")
class ProblemSerializer(serializers.Serializer[Any]):
    """One reason why a design cannot be deployed yet."""

    pointer = serializers.CharField(help_text="JSON pointer into the design document.")
    code = serializers.CharField(help_text="Which rule: stable, for programs.")
    message = serializers.CharField(help_text="What is wrong, for people.")


class DesignProblemsSerializer(serializers.Serializer[Any]):
    """All that is wrong with a design; empty when it can be deployed."""

    problems = ProblemSerializer(many=True)


class DesignSummarySerializer(serializers.ModelSerializer[OrchestrationDesign]):
    """A design in a list: everything but the document and its problems."""

    team = serializers.CharField(source="team.name", read_only=True, help_text="The name of the team that owns it.")
    latest_version = serializers.IntegerField(
        allow_null=True, help_text="The newest version; null before the design was deployed or run for the first time."
    )

    class Meta:
        model = OrchestrationDesign
        fields = [
            "id",
            "name",
            "description",
            "team",
            "revision",
            "latest_version",
            "created_by",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class DesignSerializer(DesignSummarySerializer):
    """A design with its draft. `problems` says why it cannot be deployed yet."""

    document = DocumentField(source="draft")
    problems = serializers.SerializerMethodField()

    class Meta(DesignSummarySerializer.Meta):
        fields = [
            *DesignSummarySerializer.Meta.fields[:3],
            "document",
            "problems",
            *DesignSummarySerializer.Meta.fields[3:],
        ]
        read_only_fields = fields

    @extend_schema_field(ProblemSerializer(many=True))
    def get_problems(self, design: OrchestrationDesign) -> list[dict[str, Any]]:
        return ProblemSerializer(problems_of(design), many=True).data  # type: ignore[return-value] # the stubs know no many


class VersionSummarySerializer(serializers.ModelSerializer[DesignVersion]):
    """A version in a list: everything but the document."""

    class Meta:
        model = DesignVersion
        fields = ["number", "content_hash", "created_by", "created_at"]
        read_only_fields = fields


class VersionSerializer(VersionSummarySerializer):
    """A version: what was deployed or run, for ever the same."""

    document = DocumentField()

    class Meta(VersionSummarySerializer.Meta):
        fields = [*VersionSummarySerializer.Meta.fields, "document"]
        read_only_fields = fields


@extend_schema_field(
    {
        "type": "object",
        "description": "USD for a million tokens, by model. Models that are not in it are looked up in a public list.",
        "additionalProperties": {
            "type": "object",
            "required": ["input", "output"],
            "additionalProperties": False,
            "properties": {"input": {"type": ["string", "number"]}, "output": {"type": ["string", "number"]}},
        },
    }
)
class PricesField(serializers.Field[Any, Any, Any, Any]):
    """Prices by model; kept as decimal strings."""

    def to_representation(self, value: Any) -> Any:
        return value

    def to_internal_value(self, data: Any) -> dict[str, dict[str, str]]:
        if not isinstance(data, dict) or len(data) > MAX_PRICES:
            raise serializers.ValidationError(f"An object of {MAX_PRICES} models at most is needed here.")
        return {_model_name(model): _prices(model, row) for model, row in data.items()}


class TeamField(serializers.CharField):
    """The team that owns a row, by its name."""

    def to_representation(self, value: Any) -> str:
        return str(value.name)


class ProviderAccountSerializer(StrictModelSerializer):
    """An account at a model provider. The key is written and never read back."""

    team = TeamField(required=False, help_text=TEAM_HELP)
    has_key = serializers.BooleanField(read_only=True, help_text="Whether a key is stored.")
    prices = PricesField(required=False)

    class Meta:
        model = ProviderAccount
        fields = [
            "id",
            "name",
            "team",
            "kind",
            "base_url",
            "api_key",
            "has_key",
            "max_concurrent_calls",
            "prices",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list[Any] = []  # that a name is taken in its team, the database says
        extra_kwargs = {
            "api_key": {"write_only": True, "max_length": 2_000, "style": {"input_type": "password"}},
            "max_concurrent_calls": {"min_value": 1, "max_value": 10_000},
        }

    def validate_name(self, name: str) -> str:
        kept = self.instance is not None and self.instance.name == name
        if not kept and name in reserved_names():
            raise serializers.ValidationError(f"The name {name} is the site's own. Choose another.", code="reserved")
        return name

    def validate_team(self, name: str) -> str:
        if self.instance is not None and self.instance.team.name != name:
            sentence = "An account stays in its team. Add another one in that team."
            raise serializers.ValidationError(sentence, code="stays_in_team")
        return name

    def validate_base_url(self, url: str) -> str:
        if url and (problem := problem_with_base_url(url, may_be_private=may_be_private)):
            raise serializers.ValidationError(problem, code="base_url")
        return url

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is not None and moves_key(self.instance, attrs):
            # Else whoever may change an account could have its key sent to a host of their own.
            raise serializers.ValidationError(
                {"api_key": ["The account leads to another host now. Send its key again, or an empty one."]},
                code="key_bound_to_host",
            )
        return attrs


def moves_key(account: ProviderAccount, changes: dict[str, Any]) -> bool:
    """Whether the changes would send the stored key to a host that it was not given for."""
    if "api_key" in changes or not account.has_key:  # type: ignore[attr-defined] # `without_keys` adds it
        return False
    before = (account.kind, host_of(account.base_url))
    after = (changes.get("kind", account.kind), host_of(changes.get("base_url", account.base_url)))
    return before != after


def _model_name(model: str) -> str:
    if not model.strip() or len(model) > 200:
        raise serializers.ValidationError("A model's name has 1 to 200 characters.")
    return model


def _prices(model: str, row: Any) -> dict[str, str]:
    if not isinstance(row, dict) or set(row) != {"input", "output"}:
        raise serializers.ValidationError({model: ["Give exactly input and output, in USD for a million tokens."]})
    return {name: _price(model, name, row[name]) for name in ("input", "output")}


def _price(model: str, name: str, given: Any) -> str:
    try:
        price = Decimal(given if isinstance(given, str) else repr(given))
        if not isinstance(given, bool) and len(str(given)) <= 40 and _is_price(price):
            return format(price, "f")
    except InvalidOperation:
        pass
    sentence = f"A decimal from 0 to {MAX_PRICE} of {MAX_DECIMALS} decimals at most is needed here."
    raise serializers.ValidationError({model: {name: [sentence]}})


def _is_price(price: Decimal) -> bool:
    """Checked before a price is written out: an exponent of a million is a million digits."""
    exponent = price.as_tuple().exponent
    if not isinstance(exponent, int) or not -MAX_DECIMALS <= exponent <= MAX_DECIMALS:
        return False  # no integer for a NaN or an infinity
    return 0 <= price <= MAX_PRICE
