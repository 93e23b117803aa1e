"""What the OpenAPI document says of calls: their parameters, and every answer of `api.calling`."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from deployments.api.rate_limit_headers import documented
from deployments.api.serializers import AnyJsonField, JsonObjectField
from rest.problems import PROBLEM_MEDIA_TYPE


class DescriptionSerializer(serializers.Serializer[Any]):
    """What an endpoint is."""

    endpoint_path = serializers.CharField()
    url = serializers.CharField()
    design_name = serializers.CharField()
    description = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(choices=["active", "inactive", "error"])
    status_reason = serializers.CharField(allow_null=True)
    input_schema = JsonObjectField(allow_null=True)
    example = JsonObjectField(help_text="An input that the schema allows.")
    calls = serializers.DictField(child=serializers.CharField(), help_text="The call in curl, python and javascript.")
    openapi_url = serializers.CharField()


class StreamedEvent(serializers.Serializer[Any]):
    """One event of a stream (Server-Sent Events): what its fields say."""

    id = serializers.CharField(required=False, help_text="The event's seq: what `Last-Event-ID` repeats.")
    event = serializers.CharField(required=False, help_text="The event's type, as `agent.completed`.")
    data = serializers.CharField(help_text="The event as JSON.")  # type: ignore[assignment] # a field of that name


class CallResult(serializers.Serializer[Any]):
    """The answer of an execution that completed within the wait."""

    execution_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["completed"])
    result = AnyJsonField(help_text="The design's output.")
    usage = JsonObjectField()
    cost = serializers.CharField(allow_null=True, help_text="USD; null: no price is known.")
    duration_ms = serializers.IntegerField()


class CallAccepted(serializers.Serializer[Any]):
    """The answer while the execution goes on."""

    execution_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["queued", "running"])
    url = serializers.CharField()


RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    response=[429],
    description="Seconds after which the limit may let in the next one. A day's limits open at midnight UTC.",
)
#: Of every answer with which a limit refuses.
REFUSAL_HEADERS = [RETRY_AFTER, *documented([429])]

CALL_PARAMETERS = [
    OpenApiParameter(
        "Prefer",
        str,
        OpenApiParameter.HEADER,
        description="`wait=N` waits N seconds for the result (300 at most), `respond-async` not at all.",
    ),
    OpenApiParameter(
        "Idempotency-Key",
        str,
        OpenApiParameter.HEADER,
        description="255 printable characters at most, kept 24 hours: an equal request is the same execution.",
    ),
    RETRY_AFTER,
    *documented([200, 202, 429, 500, 502, 504]),
]

LIMIT_SENTENCE = (
    "A limit of the deployment or of the API key lets no more in for now: `concurrency-limit`, `rate-limit`,"
    " `daily-quota`; or, with members as for 500, `daily-budget`. Retry-After says when to try again."
)
LIMIT_ANSWER = {
    (429, PROBLEM_MEDIA_TYPE): OpenApiResponse(OpenApiTypes.OBJECT, description=LIMIT_SENTENCE),
}
_PROBLEMS = {
    400: "The body is not JSON that can be used.",
    401: "No API key, or none that is valid.",
    403: "The key lacks the right to execute.",
    404: "There is no such endpoint.",
    409: "The deployment is not active, or the execution was cancelled while the caller waited.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not application/json.",
    422: "The input does not fit the schema, or the Idempotency-Key was used with another body.",
    429: LIMIT_SENTENCE,
    500: "`execution-failed`: with block_id, agent, cause, execution_id and url.",
    502: "`provider-failed`: the model's provider failed; members as for 500.",
    503: "The database is away, or the server stops; Retry-After says when to try again.",
    504: "`deadline-passed`: the execution's own deadline passed; members as for 500.",
}

#: By status and media type, as drf-spectacular takes them.
CALL_ANSWERS: dict[Any, Any] = {
    (200, "application/json"): OpenApiResponse(CallResult, description="Completed within the wait."),
    (200, "text/event-stream"): OpenApiResponse(
        StreamedEvent, description="The execution's events as they come, with `Accept: text/event-stream`."
    ),
    (202, "application/json"): OpenApiResponse(CallAccepted, description="It goes on; Location says where it is."),
    **{
        (status, PROBLEM_MEDIA_TYPE): OpenApiResponse(OpenApiTypes.OBJECT, description=sentence)
        for status, sentence in _PROBLEMS.items()
    },
}
