"""API keys over REST: made, rotated and shown once, listed, revoked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
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

from access.permissions import caller_of, rows_of
from access.principal import ALL, Principal
from access.rights import RIGHTS
from deployments.api.daily_use import DailyUseSerializer, daily_use_of
from deployments.api.key_serializers import KeyRequest, KeySerializer, NewKeySerializer, RotationRequest
from deployments.api.refusals import refusals_as_problems
from deployments.keys import (
    DEFAULT_SCOPES,
    RotationRefused,
    Scope,
    calling_key,
    end_of,
    make_key,
    revoke_key,
    rotate_key,
    verbs_of,
)
from deployments.limits import KeyLimits
from deployments.models import ApiKey, Deployment
from designs.api.teams import team_for
from rest.async_view import AwaitMixin
from rest.parsers import refuse_blank_body
from rest.problems import ApiProblem, FieldError, invalid
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
    required_verbs = RIGHTS["key"]

    def get_queryset(self) -> QuerySet[ApiKey]:
        keys: QuerySet[ApiKey] = rows_of(self, ApiKey.objects.all())
        allowed = caller_of(self.request).deployment_ids
        if allowed is not ALL:
            others = Deployment.objects.exclude(id__in=allowed)
            keys = keys.filter(all_deployments=False).exclude(deployments__in=others)
        return keys.select_related("team").prefetch_related("deployments")

    @extend_schema(
        summary="Make a key; it is shown in this answer only", request=KeyRequest, responses=NewKeySerializer
    )
    def create(self, request: Request) -> Response:
        refuse_blank_body(request)
        body = KeyRequest(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        asking = calling_key(caller_of(request))
        if asking is not None and asking.limits != KeyLimits():
            raise PermissionDenied(
                "Your key has limits, so it cannot make keys that would not share them. Use one without, or sign in."
            )
        scopes: list[Scope] = given.get("scopes", list(DEFAULT_SCOPES))
        if caller_of(request).deployment_ids is not ALL and given["deployments"] is None:
            raise PermissionDenied("Your key is for some deployments only. Name some of them under deployments.")
        deployments = self._find_deployments(given["deployments"])
        team_id = self._team_of(deployments, given["team"])
        if not self._has_rights_of(scopes, team_id):
            raise PermissionDenied("A key cannot be given rights that you lack in its team. Choose fewer scopes.")
        if given["expires_at"] is not None and given["expires_at"] <= timezone.now():
            raise invalid([FieldError("/expires_at", "in_the_past", "expires_at is in the past.")])
        if (end := _outlived_end(caller_of(request), given["expires_at"])) is not None:
            sentence = f"Your key is valid until {end}. Name an expires_at up to then."
            raise invalid([FieldError("/expires_at", "outlives_your_key", sentence)])
        with refusals_as_problems():
            key, plaintext = make_key(
                name=given["name"],
                team_id=team_id,
                scopes=scopes,
                deployments=deployments,
                expires_at=given["expires_at"],
                created_by=caller_of(request).label,
                limits=KeyLimits(**given.get("limits", {})),
            )
        return self._show_once(key, plaintext, status=201, headers={"Location": f"/api/keys/{key.id}"})

    @extend_schema(
        summary="Give it another secret, shown in this answer only; the one that it had goes on for a while",
        request=RotationRequest,
        responses=NewKeySerializer,
    )
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: UUID) -> Response:
        key = self.get_object()
        body = RotationRequest(data=request.data)
        body.is_valid(raise_exception=True)
        # Whoever rotates a key holds it from then on.
        if not self._has_rights_of(key.scopes, key.team_id):
            raise PermissionDenied("This key has rights that you lack in its team. Ask somebody who has them.")
        asking = calling_key(caller_of(request))
        if asking is not None and asking.id != key.id and asking.limits != KeyLimits():
            raise PermissionDenied("Your key has limits, so it rotates no key but itself.")
        if (end := _outlived_end(caller_of(request), key.expires_at)) is not None:
            raise PermissionDenied(f"What you ask with is valid until {end}, and this key for longer.")
        grace = timedelta(seconds=body.validated_data["grace_seconds"])
        try:
            plaintext = rotate_key(key=key, by=caller_of(request).label, grace=grace)
        except RotationRefused as refused:
            raise ApiProblem(409, refused.code, str(refused)) from None
        return self._show_once(key, plaintext, status=200)

    @extend_schema(summary="Revoke it at once", responses={204: OpenApiResponse(description="It opens nothing now.")})
    def destroy(self, request: Request, pk: UUID) -> Response:
        revoke_key(key=self.get_object(), by=caller_of(request).label)
        return Response(status=204)

    @extend_schema(summary="What it has used of its day's limits", responses=DailyUseSerializer)
    @action(detail=True, methods=["get"], url_path="daily-use", serializer_class=DailyUseSerializer)
    def daily_use(self, request: Request, pk: UUID) -> Response:
        return Response(DailyUseSerializer(daily_use_of(self.get_object())).data)

    def _show_once(
        self, key: ApiKey, plaintext: str, *, status: int, headers: Mapping[str, str] | None = None
    ) -> Response:
        context: dict[str, Any] = {**self.get_serializer_context(), "plaintext": plaintext}
        shown = NewKeySerializer(key, context=context).data
        return Response(shown, status=status, headers={**(headers or {}), "Cache-Control": "no-store"})

    def _has_rights_of(self, scopes: list[Scope], team_id: int) -> bool:
        return verbs_of(scopes) <= caller_of(self.request).verbs_in(team_id)

    def _find_deployments(self, ids: list[UUID] | None) -> list[Deployment] | None:
        if ids is None:
            return None
        known = Deployment.objects.select_related("team").live().known_to(caller_of(self.request))
        found = {row.id: row for row in known.filter(id__in=ids)}
        errors = [
            FieldError(f"/deployments/{index}", "unknown_deployment", "There is no such deployment.")
            for index, deployment_id in enumerate(ids)
            if deployment_id not in found
        ]
        if errors:
            raise invalid(errors)
        return list(found.values())

    def _team_of(self, deployments: list[Deployment] | None, named: str | None) -> int:
        """That of its deployments, or the one that is named or meant. Raises the 422, and the 403 without the right."""
        needed = RIGHTS["key"]["create"]
        if deployments is None:
            return team_for(self.request, needed, named=named, pointer="/team")
        teams = {deployment.team_id: deployment.team.name for deployment in deployments}
        if len(teams) > 1:
            raise invalid([FieldError("/deployments", "several_teams", "A key is for the deployments of one team.")])
        ((team_id, name),) = teams.items()
        if named not in (None, name):
            raise invalid([FieldError("/team", "other_team", "These deployments are of another team. Leave team out.")])
        if not caller_of(self.request).may_in(team_id, *needed):
            raise PermissionDenied(
                "To make a key for these deployments, the right to manage keys in their team is needed."
            )
        return team_id


def _outlived_end(caller: Principal, expires_at: datetime | None) -> str | None:
    """The end of what the caller asks with, where a key until `expires_at` would be valid after it."""
    end = end_of(caller)
    if end is None or (expires_at is not None and expires_at <= end):
        return None
    return f"{end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
