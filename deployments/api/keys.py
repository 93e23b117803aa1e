"""API keys over REST: made and shown once, listed, revoked."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from access.permissions import caller_of
from access.principal import ALL
from deployments.api.daily_use import DailyUseSerializer, daily_use_of
from deployments.api.key_serializers import KeyRequest, KeySerializer, NewKeySerializer
from deployments.api.refusals import refusals_as_problems
from deployments.keys import DEFAULT_SCOPES, Scope, calling_key, make_key, revoke_key, verbs_of
from deployments.limits import KeyLimits
from deployments.models import ApiKey, Deployment
from rest.async_view import AwaitMixin
from rest.parsers import refuse_blank_body
from rest.problems import FieldError, invalid
from rest.resources import ResourceViewSet
from rest.routers import UUID_PATTERN


@extend_schema_view(
    list=extend_schema(summary="All keys of the team, revoked ones too, newest first"),
    retrieve=extend_schema(summary="One key, without the key itself"),
)
class KeyViewSet(AwaitMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, ResourceViewSet[ApiKey]):
    """Nobody can give a key more than they have themselves."""

    queryset = ApiKey.objects.none()
    serializer_class = KeySerializer
    lookup_value_regex = UUID_PATTERN
    required_verbs = {
        "list": ("manage_keys",),
        "retrieve": ("manage_keys",),
        "create": ("manage_keys",),
        "destroy": ("manage_keys",),
        "daily_use": ("manage_keys",),
    }

    def get_queryset(self) -> QuerySet[ApiKey]:
        keys = ApiKey.objects.visible_to(caller_of(self.request))
        allowed = caller_of(self.request).deployment_ids
        if allowed is not ALL:
            others = Deployment.objects.exclude(id__in=allowed)
            keys = keys.filter(all_deployments=False).exclude(deployments__in=others)
        return keys.prefetch_related("deployments")

    @extend_schema(
        summary="Make a key; it is shown in this answer only", request=KeyRequest, responses=NewKeySerializer
    )
    def create(self, request: Request) -> Response:
        refuse_blank_body(request)
        body = KeyRequest(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        scopes: list[Scope] = given.get("scopes", list(DEFAULT_SCOPES))
        self._check_rights(scopes, given["deployments"])
        if given["expires_at"] is not None and given["expires_at"] <= timezone.now():
            raise invalid([FieldError("/expires_at", "in_the_past", "expires_at is in the past.")])
        deployments = self._find_deployments(given["deployments"])
        with refusals_as_problems():
            key, plaintext = make_key(
                name=given["name"],
                team_id=self._team_of(deployments),
                scopes=scopes,
                deployments=deployments,
                expires_at=given["expires_at"],
                created_by=caller_of(request).label,
                limits=KeyLimits(**given.get("limits", {})),
            )
        context: dict[str, Any] = {**self.get_serializer_context(), "plaintext": plaintext}
        headers = {"Location": f"/api/keys/{key.id}", "Cache-Control": "no-store"}
        return Response(NewKeySerializer(key, context=context).data, status=201, headers=headers)

    @extend_schema(summary="Revoke it at once", responses={204: OpenApiResponse(description="It opens nothing now.")})
    def destroy(self, request: Request, pk: UUID) -> Response:
        revoke_key(key=self.get_object(), by=caller_of(request).label)
        return Response(status=204)

    @extend_schema(summary="What it has used of its day's limits", responses=DailyUseSerializer)
    @action(detail=True, methods=["get"], url_path="daily-use", serializer_class=DailyUseSerializer)
    def daily_use(self, request: Request, pk: UUID) -> Response:
        return Response(DailyUseSerializer(daily_use_of(self.get_object())).data)

    def _check_rights(self, scopes: Collection[Scope], deployment_ids: list[UUID] | None) -> None:
        principal = caller_of(self.request)
        if not verbs_of(scopes) <= principal.verbs:
            raise PermissionDenied("A key cannot be given rights that you do not have. Choose fewer scopes.")
        if (asking := calling_key(principal)) is not None and asking.limits != KeyLimits():
            raise PermissionDenied("Your key has limits, so it cannot make keys that would not share them.")
        if principal.deployment_ids is not ALL and deployment_ids is None:
            raise PermissionDenied("Your key is for some deployments only. Name some of them under deployments.")

    def _find_deployments(self, ids: list[UUID] | None) -> list[Deployment] | None:
        if ids is None:
            return None
        found = {
            row.id: row for row in Deployment.objects.live().visible_to(caller_of(self.request)).filter(id__in=ids)
        }
        errors = [
            FieldError(f"/deployments/{index}", "unknown_deployment", "There is no such deployment.")
            for index, deployment_id in enumerate(ids)
            if deployment_id not in found
        ]
        if errors:
            raise invalid(errors)
        return list(found.values())

    def _team_of(self, deployments: list[Deployment] | None) -> int:
        if deployments is None:
            team_id = caller_of(self.request).team_id
            if team_id is None:
                raise PermissionDenied("You belong to no team, so you cannot make a key.")
            return team_id
        teams = {deployment.team_id for deployment in deployments}
        if len(teams) > 1:
            raise invalid([FieldError("/deployments", "several_teams", "A key is for the deployments of one team.")])
        return teams.pop()
