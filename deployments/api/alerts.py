"""Alerts of a deployment over REST: targets are added, changed, tested, removed; deliveries are read and sent again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ViewSet

from access.permissions import caller_of
from access.rights import RIGHTS
from deployments.alerts.targets import (
    AlertGone,
    AlertIsOff,
    AlertTooOften,
    InvalidAlert,
    add_target,
    change_target,
    remove_target,
    resend_delivery,
    rotate_secret,
    send_test,
)
from deployments.api.alert_serializers import (
    AlertChanges,
    AlertDeliverySerializer,
    AlertRequest,
    AlertSerializer,
    NewAlertSerializer,
    NoFields,
)
from deployments.api.refusals import field_errors_of
from deployments.models import AlertDelivery, AlertTarget, Deployment
from rest.async_view import AwaitMixin
from rest.filters import refuse_unknown_parameters
from rest.pagination import KeysetPagination
from rest.parsers import refuse_blank_body
from rest.problems import ApiProblem, FieldError, invalid
from rest.serializers import StrictSerializer

STATUS = OpenApiParameter("status", str, enum=list(AlertDelivery.Status.values), description="Only those.")


class AlertViewSet(AwaitMixin, ViewSet):
    """The targets of one live deployment's alerts, and what they were told."""

    required_verbs = RIGHTS["alert"]

    def require_visible(self) -> None:
        """404 comes before 403: see HasVerb."""
        self._find_deployment()

    @extend_schema(
        operation_id="deployments_alerts_list",
        summary="Whom a deployment alerts, and of what",
        responses=AlertSerializer(many=True),
    )
    def list(self, request: Request, pk: UUID) -> Response:
        deployment = self._find_deployment()
        refuse_unknown_parameters(request, {"format"})
        return Response(AlertSerializer(_targets(deployment), many=True).data)

    @extend_schema(
        operation_id="deployments_alerts_create",
        summary="Add a target; a webhook's secret is shown in this answer only",
        request=AlertRequest,
        responses={201: NewAlertSerializer},
    )
    def create(self, request: Request, pk: UUID) -> Response:
        deployment, given = self._find_deployment(), _valid(AlertRequest, request)
        self._check_result(deployment, given)
        with _refusals():
            target = add_target(deployment=deployment, fields=given, by=caller_of(request).label)
        headers = {"Location": f"/api/deployments/{pk}/alerts/{target.id}", "Cache-Control": "no-store"}
        return Response(NewAlertSerializer(target).data, status=201, headers=headers)

    @extend_schema(operation_id="deployments_alerts_retrieve", summary="One target", responses=AlertSerializer)
    def retrieve(self, request: Request, pk: UUID, alert_id: UUID) -> Response:
        return Response(AlertSerializer(self._find_target()).data)

    @extend_schema(
        operation_id="deployments_alerts_partial_update",
        summary="Change a target, switch it off, or on again",
        request=AlertChanges(partial=True),
        responses=AlertSerializer,
    )
    def partial_update(self, request: Request, pk: UUID, alert_id: UUID) -> Response:
        target, given = self._find_target(), _valid(AlertChanges, request)
        # What results it is sent goes where it is changed to. It may be switched off all the same.
        if given != {"enabled": False}:
            self._check_result(target.deployment, {"includes_result": target.includes_result} | given)
        with _refusals():
            changed = change_target(target=target, fields=given, by=caller_of(request).label)
        return Response(AlertSerializer(changed).data)

    @extend_schema(
        operation_id="deployments_alerts_destroy",
        summary="Remove a target, with what it was told",
        responses={204: OpenApiResponse(description="Nothing is sent to it now.")},
    )
    def destroy(self, request: Request, pk: UUID, alert_id: UUID) -> Response:
        target = self._find_target()
        with _refusals():
            remove_target(target=target, by=caller_of(request).label)
        return Response(status=204)

    @extend_schema(
        operation_id="deployments_alerts_rotate_secret",
        summary="A new secret for a webhook, shown in this answer only; the old one is signed with for a day more",
        request=NoFields,
        responses=NewAlertSerializer,
    )
    def rotate_secret(self, request: Request, pk: UUID, alert_id: UUID) -> Response:
        target = self._find_target()
        _valid(NoFields, request)
        with _refusals():
            rotated = rotate_secret(target=target, by=caller_of(request).label)
        return Response(NewAlertSerializer(rotated).data, headers={"Cache-Control": "no-store"})

    @extend_schema(
        operation_id="deployments_alerts_test",
        summary="Send a test to a target",
        request=NoFields,
        responses={202: AlertDeliverySerializer, 429: OpenApiResponse(description="Too many by hand in an hour.")},
    )
    def test(self, request: Request, pk: UUID, alert_id: UUID) -> Response:
        target = self._find_target()
        _valid(NoFields, request)
        with _refusals():
            delivery = send_test(target=target, by=caller_of(request).label)
        return Response(self._shown(delivery).data, status=202)

    @extend_schema(
        operation_id="deployments_alerts_deliveries",
        summary="What a target was told, newest first, with each try",
        parameters=[
            STATUS,
            OpenApiParameter("limit", int, description="500 at most; 100 by default."),
            OpenApiParameter("cursor", str, description="From `next` of the page before."),
        ],
        responses=AlertDeliverySerializer(many=True),
    )
    def deliveries(self, request: Request, pk: UUID, alert_id: UUID) -> Response:
        rows = self._deliveries()
        refuse_unknown_parameters(request, {"format", "limit", "cursor", "status"})
        if (wanted := request.query_params.get("status")) is not None:
            if wanted not in AlertDelivery.Status.values:
                sentence = f"status is one of {', '.join(AlertDelivery.Status.values)}."
                raise invalid([FieldError("", "invalid", sentence)])
            rows = rows.filter(status=wanted)
        paginator = KeysetPagination()
        page = paginator.paginate_queryset(rows, request, view=self)
        return paginator.get_paginated_response(self._shown(page, many=True).data)

    @extend_schema(
        operation_id="deployments_alerts_delivery", summary="One delivery", responses=AlertDeliverySerializer
    )
    def delivery(self, request: Request, pk: UUID, alert_id: UUID, delivery_id: UUID) -> Response:
        return Response(self._shown(get_object_or_404(self._deliveries(), id=delivery_id)).data)

    @extend_schema(
        operation_id="deployments_alerts_resend",
        summary="Send a delivery again, now, with the same id",
        request=NoFields,
        responses={202: AlertDeliverySerializer, 429: OpenApiResponse(description="Too many by hand in an hour.")},
    )
    def resend(self, request: Request, pk: UUID, alert_id: UUID, delivery_id: UUID) -> Response:
        target = self._find_target()
        _valid(NoFields, request)
        self._check_result(target.deployment, {"includes_result": target.includes_result})
        with _refusals():
            delivery = resend_delivery(target=target, delivery_id=delivery_id, by=caller_of(request).label)
        return Response(self._shown(delivery).data, status=202)

    def _shown(self, deliveries: Any, *, many: bool = False) -> BaseSerializer[Any]:
        """Without results for who may not see them."""
        may_view = caller_of(self.request).may_in(self._find_deployment().team_id, "view")
        return AlertDeliverySerializer(deliveries, many=many, context={"may_view": may_view})

    def _find_deployment(self) -> Deployment:
        known = Deployment.objects.known_to(caller_of(self.request)).live()
        deployment: Deployment = get_object_or_404(known, id=self.kwargs["pk"])
        self.check_object_permissions(self.request, deployment)
        return deployment

    def _find_target(self) -> AlertTarget:
        return get_object_or_404(_targets(self._find_deployment()), id=self.kwargs["alert_id"])

    def _deliveries(self) -> QuerySet[AlertDelivery]:
        return AlertDelivery.objects.filter(target=self._find_target()).prefetch_related("log")

    def _check_result(self, deployment: Deployment, given: dict[str, Any]) -> None:
        """Who may not see results does not have them sent."""
        if given.get("includes_result") and not caller_of(self.request).may_in(deployment.team_id, "view"):
            raise PermissionDenied(
                "To have results told, or told elsewhere or again, the right to view is needed."
                " Send includes_result as false, or leave it out."
            )


def _targets(deployment: Deployment) -> QuerySet[AlertTarget]:
    return AlertTarget.objects.present().sealed().filter(deployment=deployment).select_related("deployment")


def _valid(serializer_class: type[StrictSerializer], request: Request) -> dict[str, Any]:
    if serializer_class is not NoFields:
        refuse_blank_body(request)
    body = serializer_class(data=request.data)
    body.is_valid(raise_exception=True)
    given: dict[str, Any] = dict(body.validated_data)
    return given


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except InvalidAlert as refused:
        raise invalid(field_errors_of(refused.problems)) from None
    except AlertIsOff as refused:
        raise ApiProblem(409, "alert-is-off", str(refused)) from None
    except AlertTooOften as refused:
        headers = {"Retry-After": str(refused.retry_after)}
        raise ApiProblem(429, "alert-too-often", str(refused), headers=headers) from None
    except AlertGone:
        raise ApiProblem(404, "not-found", "There is no such alert, or no such delivery of it.") from None
