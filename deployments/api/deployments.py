"""Deployments over REST: deploy, change, undeploy, execute by hand, and read what ran."""

from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import get_object_or_404
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from access.permissions import caller_of, rows_of
from access.principal import ALL
from access.rights import RIGHTS
from deployments.api.calling import call_by_hand
from deployments.api.daily_use import DailyUseSerializer, daily_use_of
from deployments.api.executions import answer_detail, executions_shown
from deployments.api.filters import DeploymentFilters, LogFilters
from deployments.api.refusals import refusals_as_problems
from deployments.api.schemas import CALL_ANSWERS, CALL_PARAMETERS
from deployments.api.serializers import (
    DeploymentSerializer,
    DeploymentUpdate,
    DeployRequest,
    ExecuteRequest,
    ExecutionDetail,
    ExecutionSummary,
)
from deployments.deploying import UNSET, DeploymentChanges, deploy_design, undeploy, update_deployment
from deployments.keys import calling_key
from deployments.limits import KeyLimits, LimitFields
from deployments.models import Deployment
from deployments.models.deployment import DeploymentQuerySet
from deployments.scheduling.validation import ScheduleFields
from designs.models import OrchestrationDesign
from rest.async_view import AwaitMixin
from rest.negotiation import EventStreamRenderer
from rest.parsers import refuse_blank_body
from rest.preconditions import check_if_match, etag
from rest.problems import FieldError, invalid
from rest.resources import ResourceViewSet
from rest.routers import UUID_PATTERN

_IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that was read: the change is refused if it is old."
)


@extend_schema_view(
    list=extend_schema(summary="All deployments, newest first"),
    retrieve=extend_schema(summary="One deployment"),
)
class DeploymentViewSet(AwaitMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, ResourceViewSet[Deployment]):
    """Deployments that are live. One that was undeployed answers for its logs only."""

    queryset = Deployment.objects.none()
    serializer_class = DeploymentSerializer
    filterset_class = DeploymentFilters
    lookup_value_regex = UUID_PATTERN
    required_verbs = RIGHTS["deployment"]

    def get_queryset(self) -> DeploymentQuerySet:
        deployments: DeploymentQuerySet = rows_of(self, Deployment.objects.all())
        if self.action not in {"logs", "log"}:  # history stays
            deployments = deployments.live()
        return deployments.select_related("version", "schedule").defer("version__document")

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._answer(self.get_object())

    @extend_schema(summary="Deploy a design", request=DeployRequest, responses={201: DeploymentSerializer})
    def create(self, request: Request) -> Response:
        refuse_blank_body(request)
        body = DeployRequest(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        if caller_of(request).deployment_ids is not ALL:
            raise PermissionDenied("This key is for some deployments only, so it cannot make another one.")
        if given.get("schedule") is not None:
            self._refuse_runs_without_limits()
        design = self._find_design(given["design_id"])
        with refusals_as_problems():
            deployment = deploy_design(
                design=design,
                endpoint_path=given["endpoint_path"],
                by=caller_of(request).label,
                version=given.get("version", "latest"),
                schedule=None if given.get("schedule") is None else ScheduleFields(**given["schedule"]),
            )
        response = self._answer(self.get_queryset().get(id=deployment.id), status=201)
        response["Location"] = f"/api/deployments/{deployment.id}"
        return response

    @extend_schema(
        summary="Change a deployment; schedule and limits are replaced whole",
        parameters=[_IF_MATCH],
        request=DeploymentUpdate,
        responses={200: DeploymentSerializer},
    )
    def update(self, request: Request, pk: UUID) -> Response:
        body = DeploymentUpdate(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        schedule = given.get("schedule", UNSET)
        return self._change(
            DeploymentChanges(
                status=given.get("status", UNSET),
                schedule=ScheduleFields(**schedule) if isinstance(schedule, dict) else schedule,
                limits=LimitFields(**given["limits"]) if "limits" in given else UNSET,
                version=given.get("version", UNSET),
            )
        )

    @extend_schema(
        summary="Change a deployment; of schedule and limits only the given fields",
        parameters=[_IF_MATCH],
        request=DeploymentUpdate,
        responses={200: DeploymentSerializer},
    )
    def partial_update(self, request: Request, pk: UUID) -> Response:
        body = DeploymentUpdate(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        return self._change(DeploymentChanges(**body.validated_data))

    @extend_schema(
        summary="Undeploy: running executions finish, queued ones are cancelled, history stays",
        parameters=[_IF_MATCH],
        responses={204: OpenApiResponse(description="The path is free.")},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:
        deployment = self.get_object()
        with refusals_as_problems():
            undeploy(
                deployment_id=deployment.id, by=caller_of(request).label, expected_revision=self._expected(deployment)
            )
        return Response(status=204)

    @extend_schema(
        summary="Execute by hand, whatever the deployment's status",
        parameters=CALL_PARAMETERS,
        request=ExecuteRequest,
        responses=CALL_ANSWERS,
    )
    @action(
        detail=True,
        methods=["post"],
        renderer_classes=[JSONRenderer, EventStreamRenderer, BrowsableAPIRenderer],
        filterset_class=None,
    )
    def execute(self, request: Request, pk: UUID) -> HttpResponseBase:
        deployment = self.get_object()
        body = ExecuteRequest(data=request.data)
        body.is_valid(raise_exception=True)
        return call_by_hand(request, deployment, body.validated_data["input_data"])

    @extend_schema(
        summary="What ran, newest first, payloads left out", filters=True, responses=ExecutionSummary(many=True)
    )
    @action(detail=True, methods=["get"], serializer_class=ExecutionSummary, filterset_class=LogFilters)
    def logs(self, request: Request, pk: UUID) -> Response:
        executions = executions_shown(caller_of(request)).filter(deployment=self.get_object())
        rows = self.paginate_queryset(self.filter_queryset(executions))
        return self.get_paginated_response(ExecutionSummary(rows, many=True).data)

    @extend_schema(
        summary="One execution with everything",
        parameters=[OpenApiParameter("log_id", UUID, OpenApiParameter.PATH)],
        responses=ExecutionDetail,
    )
    @action(
        detail=True,
        methods=["get"],
        url_path=f"logs/(?P<log_id>{UUID_PATTERN})",
        serializer_class=ExecutionDetail,
        filterset_class=None,
    )
    def log(self, request: Request, pk: UUID, log_id: str) -> Response:
        executions = executions_shown(caller_of(request)).filter(deployment=self.get_object())
        return answer_detail(get_object_or_404(executions.defer(None).defer("version__document"), id=log_id))

    @extend_schema(summary="What its executions have used of its day's budget", responses=DailyUseSerializer)
    @action(
        detail=True, methods=["get"], url_path="daily-use", serializer_class=DailyUseSerializer, filterset_class=None
    )
    def daily_use(self, request: Request, pk: UUID) -> Response:
        return Response(DailyUseSerializer(daily_use_of(self.get_object())).data)

    def _change(self, changes: DeploymentChanges) -> Response:
        deployment = self.get_object()
        if changes.version is not UNSET and not self._may("change_version", deployment.team_id):
            raise PermissionDenied("To change the version that is deployed, the right to deploy is needed.")
        if changes.schedule not in (UNSET, None):
            self._refuse_runs_without_limits()
        with refusals_as_problems():
            update_deployment(
                deployment_id=deployment.id,
                changes=changes,
                by=caller_of(self.request).label,
                expected_revision=self._expected(deployment),
            )
        return self._answer(self.get_object())

    def _expected(self, deployment: Deployment) -> int | None:
        """The revision that has to be there still when the row is locked; None when the caller does not mind."""
        check_if_match(self.request, deployment.revision)
        return None if self.request.headers.get("If-Match", "*").strip() == "*" else deployment.revision

    def _find_design(self, design_id: UUID) -> OrchestrationDesign:
        known = OrchestrationDesign.objects.known_to(caller_of(self.request))
        design: OrchestrationDesign | None = known.filter(id=design_id).first()
        if design is None:
            raise invalid([FieldError("/design_id", "unknown_design", "There is no such design.")])
        if not self._may("create", design.team_id):
            raise PermissionDenied("To deploy this design, the right to deploy in its team is needed.")
        return design

    def _may(self, action: str, team_id: int) -> bool:
        return caller_of(self.request).may_in(team_id, *RIGHTS["deployment"][action])

    def _refuse_runs_without_limits(self) -> None:
        """Raises the 403 for a key that could have a schedule do what its own limits refuse it."""
        asking = calling_key(caller_of(self.request))
        if asking is not None and asking.limits != KeyLimits():
            raise PermissionDenied("Your key has limits, so it cannot set a schedule: its runs would not share them.")

    def _answer(self, deployment: Deployment, *, status: int = 200) -> Response:
        shown = DeploymentSerializer(deployment, context=self.get_serializer_context()).data
        return Response(shown, status=status, headers={"ETag": etag(deployment.revision)})
