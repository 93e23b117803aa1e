"""The JSON of deployments, schedules, limits and executions, in both directions."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.models.execution import NEWEST_FIRST
from deployments.money import money_text
from deployments.retention.policy import MAX_DAYS, MAX_LAST
from deployments.scheduling.cron import MAX_EXPRESSION_CHARACTERS
from deployments.scheduling.validation import (
    MAX_CATCH_UP_WINDOW_SECONDS,
    MAX_INTERVAL_SECONDS,
    MAX_JITTER_SECONDS,
)
from deployments.scheduling.words import words_of
from rest.serializers import StrictSerializer

MAX_INTEGER = 2_147_483_647
#: Less holds no prompt and its answer.
MIN_PAYLOAD_BYTES = 1_024
MAX_RERUNS = 100


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JsonObjectField(serializers.JSONField):
    """Any JSON object."""

    default_error_messages = {"object": "A JSON object is needed here."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("object")
        return data


@extend_schema_field({})
class AnyJsonField(serializers.JSONField):
    """Any JSON value."""


@extend_schema_field({"type": "string", "description": "USD, as a plain decimal; null: no price is known."})
class MoneyField(serializers.Field[Decimal, Any, str, Any]):
    """USD as it is said aloud, without the zeros of its column."""

    def to_representation(self, value: Decimal) -> str:
        return money_text(value)


class ScheduleSerializer(StrictSerializer):
    """A schedule. Times are ISO 8601; a time without an offset is UTC."""

    enabled = serializers.BooleanField(default=True)
    cron_expression = serializers.CharField(
        allow_null=True,
        default=None,
        allow_blank=True,  # what is wrong with it, `parse_cron` says better
        max_length=MAX_EXPRESSION_CHARACTERS,
        help_text="Minute, hour, day of month, month, day of week, such as `0 9 * * 1-5`; or `@daily` and its like.",
        error_messages={
            "invalid": "Send the expression as text, such as '0 9 * * 1-5'.",
            "max_length": "The expression is longer than {max_length} characters. Use ranges (a-b) and steps (*/n).",
        },
    )
    interval_seconds = serializers.IntegerField(
        allow_null=True,
        default=None,
        min_value=1,
        max_value=MAX_INTERVAL_SECONDS,
        help_text="In UTC, counted from start_at, else from 1970-01-01.",
        error_messages={
            "invalid": "Send a whole number of seconds, such as 300.",
            "min_value": "An interval is at least one second. For no interval, send null.",
            "max_value": "An interval is at most {max_value} seconds (366 days). For more, set cron_expression.",
        },
    )
    timezone = serializers.CharField(
        default="UTC",
        allow_blank=True,  # it is looked up, and the sentence proposes another
        max_length=64,
        help_text="An IANA name, such as Europe/Berlin.",
        error_messages={
            "invalid": "Send an IANA name as text, such as Europe/Berlin.",
            "null": "Send an IANA name, such as Europe/Berlin, or leave it out for UTC.",
            "max_length": "A zone's name has at most {max_length} characters. Send one such as Europe/Berlin.",
        },
    )
    day_match = serializers.ChoiceField(
        choices=ScheduleConfig.DayMatch.choices,
        allow_null=True,
        default=None,
        help_text="Needed where day of month and day of week are both restricted: a day has to match both, or either.",
        error_messages={"invalid_choice": "{input} is no choice: there are 'and' (both days), 'or' (either) and null."},
    )
    overlap = serializers.ChoiceField(choices=ScheduleConfig.Overlap.choices, default="skip")
    catch_up = serializers.ChoiceField(choices=ScheduleConfig.CatchUp.choices, default="latest")
    catch_up_window_seconds = serializers.IntegerField(default=3600, min_value=0, max_value=MAX_CATCH_UP_WINDOW_SECONDS)
    start_at = serializers.DateTimeField(allow_null=True, default=None)
    end_at = serializers.DateTimeField(allow_null=True, default=None)
    jitter_seconds = serializers.IntegerField(default=0, min_value=0, max_value=MAX_JITTER_SECONDS)
    pause_after_failures = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=1_000)
    input_data = JsonObjectField(default=dict)
    next_run_at = serializers.DateTimeField(
        source="next_fire_at", read_only=True, allow_null=True, help_text="Null while the schedule is not in force."
    )
    words = serializers.SerializerMethodField(help_text="The schedule as a sentence.")
    paused_by = serializers.SerializerMethodField()
    paused_reason = serializers.SerializerMethodField()
    paused_at = serializers.DateTimeField(read_only=True, allow_null=True)

    def get_words(self, schedule: ScheduleConfig) -> str | None:
        return words_of(schedule)

    def get_paused_by(self, schedule: ScheduleConfig) -> str | None:
        return schedule.paused_by or None

    def get_paused_reason(self, schedule: ScheduleConfig) -> str | None:
        return schedule.paused_reason or None


class RateLimits(StrictSerializer):
    """What limits of deployments and of keys have in common. The daily ones are of days of UTC."""

    rate_count = serializers.IntegerField(
        allow_null=True,
        default=None,
        min_value=1,
        max_value=MAX_INTEGER,
        help_text="Executions that may be asked for in `rate_seconds`; a scheduled time is not asked for.",
    )
    rate_seconds = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=86_400)
    daily_max_tokens = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=10**15)
    daily_max_cost_usd = serializers.DecimalField(
        allow_null=True, default=None, min_value=0, max_digits=12, decimal_places=6, normalize_output=True
    )


class LimitsSerializer(RateLimits):
    """The limits of a deployment. Null means the site's default, or none."""

    max_concurrent = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=100_000)
    when_full = serializers.ChoiceField(choices=Deployment.WhenFull.choices, default="queue")
    deadline_seconds = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=86_400)
    max_calls = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=MAX_INTEGER)
    max_tokens = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=10**15)
    max_cost_usd = serializers.DecimalField(
        allow_null=True, default=None, min_value=0, max_digits=12, decimal_places=6, normalize_output=True
    )
    max_payload_bytes = serializers.IntegerField(
        allow_null=True,
        default=None,
        min_value=MIN_PAYLOAD_BYTES,
        max_value=10**12,
        help_text="Bytes that one execution may hold: its input, prompts, answers and outputs together. The site's"
        " operator sets how many they may be at most.",
    )


class RetentionSerializer(StrictSerializer):
    """How long history is kept. Null means the site's default, 0 for ever; what is beyond either end goes."""

    keep_payload_days = serializers.IntegerField(
        allow_null=True,
        default=None,
        min_value=0,
        max_value=MAX_DAYS,
        help_text="Input, result and events of an execution go so many days after it was asked for.",
    )
    keep_payload_last = serializers.IntegerField(
        allow_null=True, default=None, min_value=0, max_value=MAX_LAST, help_text="Or with so many newer executions."
    )
    keep_history_days = serializers.IntegerField(
        allow_null=True,
        default=None,
        min_value=0,
        max_value=MAX_DAYS,
        help_text="The execution goes whole so many days after it was asked for.",
    )
    keep_history_last = serializers.IntegerField(
        allow_null=True, default=None, min_value=0, max_value=MAX_LAST, help_text="Or with so many newer executions."
    )


@extend_schema_field(
    {
        "oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "const": "latest"}],
        "description": "A version's number, or `latest` for what is saved of the design now.",
    }
)
class VersionChoiceField(serializers.Field[Any, Any, Any, Any]):
    """The number of a version, or `latest`."""

    default_error_messages = {"version": "Send the number of a version, or 'latest' for what is saved now."}

    def to_internal_value(self, data: Any) -> Any:
        is_number = isinstance(data, int) and not isinstance(data, bool) and 1 <= data <= MAX_INTEGER
        if not is_number and data != "latest":
            self.fail("version")
        return data


class DeployRequest(StrictSerializer):
    """What deploys a design."""

    design_id = serializers.UUIDField()
    endpoint_path = serializers.CharField(
        max_length=500, help_text="`feedback-analysis` and `/api/deployed/feedback-analysis` name the same."
    )
    schedule = ScheduleSerializer(allow_null=True, required=False)
    version = VersionChoiceField(required=False)


class DeploymentUpdate(StrictSerializer):
    """What changes a deployment. What is left out stays; `schedule` null removes the schedule."""

    status = serializers.ChoiceField(choices=["active", "inactive"], required=False)
    schedule = ScheduleSerializer(allow_null=True, required=False)
    limits = LimitsSerializer(required=False)
    retention = RetentionSerializer(required=False)
    version = VersionChoiceField(required=False)


class DeploymentSerializer(serializers.ModelSerializer[Deployment]):
    """A deployment, as it is answered."""

    version = serializers.IntegerField(source="version.number")
    url = serializers.SerializerMethodField()
    status_reason = serializers.SerializerMethodField()
    schedule = serializers.SerializerMethodField()
    limits = LimitsSerializer(source="*")
    retention = RetentionSerializer(source="*")

    class Meta:
        model = Deployment
        fields = [
            "id",
            "design_id",
            "design_name",
            "version",
            "endpoint_path",
            "url",
            "status",
            "status_reason",
            "schedule",
            "limits",
            "retention",
            "last_execution_at",
            "execution_count",
            "created_at",
            "updated_at",
            "updated_by",
        ]
        read_only_fields = fields

    def get_url(self, deployment: Deployment) -> str:
        return str(self.context["request"].build_absolute_uri(deployment.endpoint_path))

    def get_status_reason(self, deployment: Deployment) -> str | None:
        return deployment.status_reason or None

    @extend_schema_field(ScheduleSerializer(allow_null=True))
    def get_schedule(self, deployment: Deployment) -> Any:
        schedule = getattr(deployment, "schedule", None)
        return None if schedule is None else ScheduleSerializer(schedule).data


class ExecuteRequest(StrictSerializer):
    """What executes a deployment or a draft by hand."""

    input_data = JsonObjectField(required=False, default=dict)


class DraftExecuteRequest(ExecuteRequest):
    """What executes a draft, or one block of it."""

    block_id = serializers.CharField(
        max_length=100,
        required=False,
        help_text="Only this block runs, as a design of its own that no list shows. Its input is `input_data`, and what"
        " its texts call `{{blocks.a.output}}` is read from `blocks.a.output` of it.",
    )


class RerunRequest(StrictSerializer):
    """What runs an execution again."""

    input_data = JsonObjectField(
        allow_null=True,
        default=None,
        help_text="An edited input, for the blocks that run again. Null or left out: what the execution was given.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # Python keeps the word for itself, so the field cannot stand above.
        return {
            "from": serializers.CharField(
                max_length=100,
                initial="failed",
                help_text="`start`: everything runs again. `failed`: what has no good result, and what comes after it."
                " Or the id of a block: that one, and all that come after it. The two words win over such ids.",
            ),
            **super().get_fields(),
        }


class TextOrNull(serializers.CharField):
    """A text that rows have empty where there is none."""

    def to_representation(self, value: str) -> Any:
        return value or None


class ExecutionSummary(serializers.ModelSerializer[ExecutionLog]):
    """An execution in a list. Its version is read with it by `executions_shown`."""

    execution_id = serializers.UUIDField(source="id")
    deployment_id = serializers.UUIDField(allow_null=True)
    design_id = serializers.UUIDField()
    version = serializers.IntegerField(source="version.number")
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment] # our own field
    error_code = TextOrNull(allow_null=True)
    reason = TextOrNull(allow_null=True)
    error = TextOrNull(allow_null=True)
    request_id = TextOrNull(allow_null=True, help_text="`X-Request-ID` of the request that asked for it, if one did.")
    usage = AnyJsonField()
    cost = MoneyField(allow_null=True)
    payload_removed_at = serializers.DateTimeField(
        allow_null=True, help_text="When retention removed input, result and events."
    )

    class Meta:
        model = ExecutionLog
        fields = [
            "id",
            "execution_id",
            "deployment_id",
            "design_id",
            "version",
            "status",
            "error_code",
            "reason",
            "trigger_type",
            "triggered_by",
            "request_id",
            "error",
            "usage",
            "cost",
            "attempt",
            "parent",
            "scheduled_for",
            "created_at",
            "started_at",
            "completed_at",
            "duration_ms",
            "payload_removed_at",
        ]
        read_only_fields = fields


class EventSerializer(serializers.Serializer[Any]):
    """A line of an execution's journal."""

    seq = serializers.IntegerField()
    type = serializers.CharField()
    block_id = serializers.CharField(allow_null=True)
    agent = serializers.CharField(allow_null=True)
    payload = JsonObjectField()
    at = serializers.DateTimeField()


class ExecutionDetail(ExecutionSummary):
    """One execution with everything: what it was given, what it made, and its trace."""

    reruns = serializers.SerializerMethodField(help_text="The ids of its re-runs: the latest 100, newest first.")
    events = serializers.SerializerMethodField()

    class Meta(ExecutionSummary.Meta):
        fields = [*ExecutionSummary.Meta.fields, "reruns", "input_data", "result_data", "events"]
        read_only_fields = fields

    input_data = JsonObjectField(
        help_text="What it was given; empty once `payload_removed_at` says so, as is all below."
    )
    result_data = AnyJsonField(allow_null=True)

    def get_reruns(self, execution: ExecutionLog) -> list[UUID]:
        return list(execution.reruns.order_by(*NEWEST_FIRST).values_list("id", flat=True)[:MAX_RERUNS])

    @extend_schema_field(EventSerializer(many=True))
    def get_events(self, execution: ExecutionLog) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.context["events"]
        return events
