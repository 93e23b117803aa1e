"""Executions over REST: read them, follow them, cancel them, run them again."""

from typing import cast
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from access.permissions import caller_of, rows_of
from access.principal import Principal
from access.rights import RIGHTS
from deployments.api.exporting import stream_export
from deployments.api.filters import ExecutionFilters, ExportFilters
from deployments.api.preferences import draft_has_no_keys, read_idempotency, read_position
from deployments.api.refusals import reruns_as_problems
from deployments.api.schemas import CALL_PARAMETERS, LIMIT_ANSWER, REFUSAL_HEADERS, StreamedEvent
from deployments.api.serializers import ExecutionDetail, ExecutionSummary, RerunRequest
from deployments.executions.lifecycle import request_cancel
from deployments.executions.rerunning import rerun_execution
from deployments.keys import calling_key
from deployments.live.messages import event_message
from deployments.live.sse import stream_events
from deployments.models import ExecutionEvent, ExecutionLog
from deployments.models.execution import ExecutionLogQuerySet
from rest.async_view import AwaitMixin
from rest.filters import refuse_unknown_parameters
from rest.negotiation import EventStreamRenderer, LinesRenderer
from rest.problems import ApiProblem
from rest.resources import ResourceViewSet
from rest.routers import UUID_PATTERN

CancelAnswer = inline_serializer(
    "CancelAnswer",
    {
        "execution_id": serializers.UUIDField(),
        "status": serializers.ChoiceField(choices=["cancelled", "cancelling"]),
        "url": serializers.CharField(),
    },
)


def as_shown(executions: ExecutionLogQuerySet) -> ExecutionLogQuerySet:
    """As lists show them: with the version's number, without what is large."""
    return executions.without_payloads().select_related("version").defer("version__document")


def executions_shown(principal: Principal) -> ExecutionLogQuerySet:
    """What the caller may see, as lists show it."""
    return as_shown(ExecutionLog.objects.visible_to(principal, *RIGHTS["execution"]["list"]))


def answer_detail(execution: ExecutionLog) -> Response:
    """The execution with its payloads and its trace."""
    events = [event_message(row) for row in ExecutionEvent.objects.filter(execution=execution).order_by("seq")]
    return Response(ExecutionDetail(execution, context={"events": events}).data)


@extend_schema_view(list=extend_schema(summary="All executions that you may see, newest first, payloads left out"))
class ExecutionViewSet(AwaitMixin, mixins.ListModelMixin, ResourceViewSet[ExecutionLog]):
    """Executions of all deployments and of drafts."""

    queryset = ExecutionLog.objects.none()
    serializer_class = ExecutionSummary
    filterset_class = ExecutionFilters
    lookup_value_regex = UUID_PATTERN
    required_verbs = RIGHTS["execution"]

    def get_queryset(self) -> ExecutionLogQuerySet:
        executions = as_shown(rows_of(self, ExecutionLog.objects.all()))
        return executions.defer(None).defer("version__document") if self.action == "retrieve" else executions

    @extend_schema(summary="One execution with everything", responses=ExecutionDetail)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return answer_detail(self.get_object())

    @extend_schema(
        summary="All that the filters find, as NDJSON: one execution a line, newest first, streamed",
        description="A stream that breaks off was cut short: the whole one ends with the end of its body.",
        filters=True,
        responses={
            (200, "application/x-ndjson"): OpenApiResponse(ExecutionDetail, description="Of each line."),
            429: OpenApiResponse(description="Too many exports in an hour."),
        },
    )
    @action(
        detail=False,
        methods=["get"],
        renderer_classes=[LinesRenderer, JSONRenderer],
        filterset_class=ExportFilters,
        pagination_class=None,
    )
    def export(self, request: Request) -> HttpResponseBase:
        executions = cast(ExecutionLogQuerySet, self.filter_queryset(self.get_queryset()))
        refuse_unknown_parameters(request, {"format", *ExportFilters.base_filters})
        return stream_export(request, executions)

    @extend_schema(
        summary="Its events as Server-Sent Events: those that were, then those that come",
        parameters=[
            OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER, description="The last seq that was seen."),
            OpenApiParameter("after", int, description="The same, where a header cannot be set."),
        ],
        responses={(200, "text/event-stream"): OpenApiResponse(StreamedEvent, description="The stream.")},
    )
    @action(detail=True, methods=["get"], renderer_classes=[EventStreamRenderer, JSONRenderer], filterset_class=None)
    def events(self, request: Request, pk: UUID) -> HttpResponseBase:
        return stream_events(request, self.get_object(), after=read_position(request))

    @extend_schema(
        summary="Cancel it",
        request=None,
        responses={202: CancelAnswer, 409: OpenApiResponse(description="It has ended already.")},
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def cancel(self, request: Request, pk: UUID) -> Response:
        execution = self.get_object()
        url = f"/api/executions/{execution.id}"
        outcome = request_cancel(execution_id=execution.id, by=caller_of(request).label)
        if outcome == "ended":
            raise ApiProblem(
                409, "execution-ended", "This execution has ended already.", execution_id=str(execution.id), url=url
            )
        status = "cancelled" if outcome == "cancelled" else "cancelling"
        return Response(
            {"execution_id": str(execution.id), "status": status, "url": url}, status=202, headers={"Location": url}
        )

    @extend_schema(
        summary="Run it again: from the start, from what failed, or from a block",
        description="A new execution of the same version with this one as its `parent`, trigger `manual`. What does not"
        " run again is taken over with its recorded results and not charged again.",
        parameters=[CALL_PARAMETERS[1], *REFUSAL_HEADERS],
        request=RerunRequest,
        responses={
            201: OpenApiResponse(ExecutionSummary, description="Accepted; Location says where it is."),
            409: OpenApiResponse(description="It has not ended yet, or its deployment was undeployed."),
            422: OpenApiResponse(description="It cannot be run again from there, or the input does not fit."),
            **LIMIT_ANSWER,
        },
    )
    @action(detail=True, methods=["post"], serializer_class=RerunRequest, filterset_class=None)
    def rerun(self, request: Request, pk: UUID) -> Response:
        parent = self.get_object()
        body = RerunRequest(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        idempotency = read_idempotency(request, {"rerun": str(parent.id), **given})
        if idempotency is not None and parent.deployment_id is None:
            raise draft_has_no_keys()
        with reruns_as_problems():
            started = rerun_execution(
                parent_id=parent.id,
                start_from=given["from"],
                by=caller_of(request).label,
                key=calling_key(caller_of(request)),
                input_data=given["input_data"],
                idempotency=idempotency,
            )
        shown = self.get_queryset().get(id=started.execution.id)
        headers = {"Location": f"/api/executions/{shown.id}"}
        if started.replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(ExecutionSummary(shown).data, status=201, headers=headers)
