"""Schedules over REST: what they will do, pausing, resuming, and running now. They are edited in their deployments."""

from typing import Any, Final
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from access.permissions import caller_of
from access.rights import RIGHTS
from deployments.api.refusals import refusals_as_problems, starts_as_problems
from deployments.api.schemas import LIMIT_ANSWER, REFUSAL_HEADERS, CallAccepted
from deployments.api.serializers import ScheduleSerializer
from deployments.keys import calling_key
from deployments.models import Deployment, ScheduleConfig
from deployments.scheduling.changes import pause_schedule, resume_schedule, run_schedule_now
from deployments.scheduling.errors import ScheduleGone
from deployments.scheduling.preview import Preview, preview_fields, preview_schedule
from deployments.scheduling.validation import ScheduleFields
from executor.errors import Problem
from rest.async_view import AwaitMixin
from rest.filters import refuse_unknown_parameters
from rest.parsers import refuse_blank_body
from rest.problems import PROBLEM_MEDIA_TYPE, field_errors, invalid
from rest.serializers import StrictSerializer

MAX_RUNS: Final = 100
MAX_REASON_CHARACTERS: Final = 1_000
#: The fields of a schedule that decide its times: what is wrong with them stands in a preview's `problems`.
TIME_FIELDS: Final = (
    "cron_expression",
    "interval_seconds",
    "timezone",
    "day_match",
    "start_at",
    "end_at",
    "jitter_seconds",
)
_NO_SCHEDULE: Final = {
    (404, PROBLEM_MEDIA_TYPE): OpenApiResponse(
        OpenApiTypes.OBJECT, description="There is no such deployment, or (`no-schedule`) it has no schedule."
    )
}


def _count() -> serializers.IntegerField:
    return serializers.IntegerField(default=10, min_value=1, max_value=MAX_RUNS, help_text="How many runs.")


class PreviewParameters(StrictSerializer):
    """The parameters of the preview of a deployment's schedule."""

    count = _count()


class PreviewRequest(StrictSerializer):
    """A schedule that is being edited, as far as it decides times; `from` is now where it is left out."""

    def get_fields(self) -> dict[str, Any]:
        shared = ScheduleSerializer().get_fields()
        after = serializers.DateTimeField(allow_null=True, default=None, help_text="The runs after this; null: now.")
        return {name: shared[name] for name in TIME_FIELDS} | {"count": _count(), "from": after}


class RunSerializer(serializers.Serializer[Any]):
    """A time to come."""

    utc = serializers.DateTimeField(help_text="The scheduled time: what `scheduled_for` of its execution will be.")
    local = serializers.CharField(help_text="What clocks in the schedule's zone show then, without an offset.")
    offset = serializers.CharField(help_text="Their offset from UTC, as `+02:00`.")
    dst = serializers.ChoiceField(
        choices=["gap_shifted", "repeated"],
        allow_null=True,
        help_text="`gap_shifted`: the clocks skip its time that day, so it comes right after the gap."
        " `repeated`: the clocks show this time twice that day.",
    )
    fires_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When it fires, jitter included; null where the jitter is not drawn, as the schedule is not saved.",
    )


class ScheduleProblemSerializer(serializers.Serializer[Any]):
    """One thing that is wrong with a schedule, or keeps it from running."""

    pointer = serializers.CharField(help_text="JSON pointer into the schedule; empty for the schedule as a whole.")
    code = serializers.CharField(help_text="Which rule: stable, for programs.")
    message = serializers.CharField(help_text="What is wrong and what to do, for people.")


class PreviewSerializer(serializers.Serializer[Any]):
    """What a schedule will do."""

    runs = RunSerializer(many=True)
    words = serializers.CharField(allow_null=True, help_text="The schedule as a sentence; null where it has no times.")
    problems = ScheduleProblemSerializer(many=True)


class PauseRequest(StrictSerializer):
    """Why a schedule is paused."""

    reason = serializers.CharField(default="", allow_blank=True, max_length=MAX_REASON_CHARACTERS)


class ResumeRequest(StrictSerializer):
    """What becomes of the times that the pause held back."""

    catch_up = serializers.ChoiceField(
        choices=ScheduleConfig.CatchUp.choices,
        allow_null=True,
        default=None,
        help_text="Of the times of the pause, within the schedule's catch_up_window_seconds, `latest` runs the last and"
        " `all` every one, 100 at most. `none`, null and leaving it out: none of them.",
    )


class RunNowRequest(StrictSerializer):
    """Nothing: it runs with the schedule's input."""


class SchedulePreviewView(AwaitMixin, APIView):
    """For a form that is being edited: what is wrong with it is part of the answer."""

    required_verbs = {"POST": RIGHTS["site"]["preview_schedule"]}

    @extend_schema(
        operation_id="schedules_preview",
        summary="What a schedule that is not saved would do",
        tags=["schedules"],
        request=PreviewRequest,
        responses=PreviewSerializer,
    )
    def post(self, request: Request) -> Response:
        refuse_blank_body(request)
        body = PreviewRequest(data=request.data)
        if not body.is_valid():
            return _answer(Preview((), None, _problems_of(body)))
        given, now = dict(body.validated_data), timezone.now()
        count, after = given.pop("count"), given.pop("from") or now
        return _answer(preview_fields(ScheduleFields(**given), count=count, after=after, now=now))


class ScheduleViewSet(AwaitMixin, ViewSet):
    """The schedule of one live deployment."""

    required_verbs = RIGHTS["schedule"]

    def require_visible(self) -> None:
        """404 comes before 403: see HasVerb."""
        self._find_deployment()

    @extend_schema(
        operation_id="deployments_schedule_preview",
        summary="The next runs of a deployment's schedule",
        parameters=[OpenApiParameter("count", int, description=f"How many, 1 to {MAX_RUNS}; 10 by default.")],
        responses={200: PreviewSerializer, **_NO_SCHEDULE},
    )
    def preview(self, request: Request, pk: UUID) -> Response:
        schedule = self._find_schedule()
        refuse_unknown_parameters(request, {"count", "format"})
        parameters = PreviewParameters(data={k: v for k, v in request.query_params.items() if k == "count"})
        parameters.is_valid(raise_exception=True)
        count = parameters.validated_data["count"]
        return _answer(preview_schedule(schedule, count=count, after=timezone.now()))

    @extend_schema(
        operation_id="deployments_schedule_pause",
        summary="Pause the schedule; where it is paused already, nothing changes",
        request=PauseRequest,
        responses={200: ScheduleSerializer, **_NO_SCHEDULE},
    )
    def pause(self, request: Request, pk: UUID) -> Response:
        schedule, given = self._find_schedule(), _valid(PauseRequest, request)
        with refusals_as_problems():
            paused = pause_schedule(schedule=schedule, by=caller_of(request).label, reason=given["reason"])
        return Response(ScheduleSerializer(paused).data)

    @extend_schema(
        operation_id="deployments_schedule_resume",
        summary="Resume the schedule; where it is not paused, nothing changes",
        request=ResumeRequest,
        responses={200: ScheduleSerializer, **_NO_SCHEDULE},
    )
    def resume(self, request: Request, pk: UUID) -> Response:
        schedule, given = self._find_schedule(), _valid(ResumeRequest, request)
        with refusals_as_problems():
            resumed = resume_schedule(schedule=schedule, by=caller_of(request).label, catch_up=given["catch_up"])
        return Response(ScheduleSerializer(resumed).data)

    @extend_schema(
        operation_id="deployments_schedule_run",
        summary="Run it now, with its own input, paused or not; its next run stays where it is",
        request=RunNowRequest,
        parameters=[*REFUSAL_HEADERS],
        responses={202: CallAccepted, **_NO_SCHEDULE, **LIMIT_ANSWER},
    )
    def run(self, request: Request, pk: UUID) -> Response:
        schedule = self._find_schedule()
        _valid(RunNowRequest, request)
        with refusals_as_problems(), starts_as_problems():
            caller = caller_of(request)
            execution = run_schedule_now(schedule=schedule, by=caller.label, key=calling_key(caller))
        url = f"/api/executions/{execution.id}"
        body = {"execution_id": str(execution.id), "status": execution.status, "url": url}
        return Response(body, status=202, headers={"Location": url})

    def _find_deployment(self) -> Deployment:
        known = Deployment.objects.known_to(caller_of(self.request)).live()
        rows = known.select_related("version", "schedule").defer("version__document")
        deployment: Deployment = get_object_or_404(rows, id=self.kwargs["pk"])
        self.check_object_permissions(self.request, deployment)
        return deployment

    def _find_schedule(self) -> ScheduleConfig:
        deployment = self._find_deployment()
        schedule: ScheduleConfig | None = getattr(deployment, "schedule", None)
        if schedule is None:
            with refusals_as_problems():
                raise ScheduleGone
        schedule.deployment = deployment
        return schedule


def _valid(serializer_class: type[StrictSerializer], request: Request) -> dict[str, Any]:
    body = serializer_class(data=request.data)
    body.is_valid(raise_exception=True)
    given: dict[str, Any] = body.validated_data
    return given


def _problems_of(body: PreviewRequest) -> list[Problem]:
    """What is wrong with the form's fields. Raises the 422 when anything else is wrong with the request."""
    errors = field_errors(body.errors)
    if any(error.pointer.split("/")[1:2] not in [[name] for name in TIME_FIELDS] for error in errors):
        raise invalid(errors)
    return [Problem(error.pointer, error.code, error.message) for error in errors]


def _answer(preview: Preview) -> Response:
    return Response(PreviewSerializer(preview).data)
