"""Provider accounts over REST. Keys go in and never come out."""

from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from access.audit import Action, record_action
from access.permissions import caller_of, rows_of
from access.rights import RIGHTS
from designs.api.serializers import ProviderAccountSerializer
from designs.api.teams import team_for
from designs.models import ProviderAccount
from rest.problems import ApiProblem
from rest.resources import ResourceViewSet
from rest.routers import UUID_PATTERN


@extend_schema_view(
    list=extend_schema(summary="All provider accounts of your teams, newest first, without their keys"),
    retrieve=extend_schema(summary="One provider account, without its key"),
    create=extend_schema(summary="Add a provider account"),
    update=extend_schema(summary="Change a provider account; without api_key the key stays"),
    partial_update=extend_schema(summary="Change some fields of a provider account"),
    destroy=extend_schema(summary="Remove a provider account; designs that name it cannot run any more"),
)
class ProviderAccountViewSet(ResourceViewSet[ProviderAccount], ModelViewSet[ProviderAccount]):
    """Accounts at model providers. Designs name them: `<name>:<model>`. Nothing here opens a connection."""

    queryset = ProviderAccount.objects.none()
    serializer_class = ProviderAccountSerializer
    lookup_value_regex = UUID_PATTERN
    required_verbs = RIGHTS["provider"]

    def get_queryset(self) -> QuerySet[ProviderAccount]:
        accounts: QuerySet[ProviderAccount] = rows_of(self, ProviderAccount.objects.without_keys())
        accounts = accounts.select_related("team")
        return accounts.select_for_update(of=("self",)) if self.action in ("update", "partial_update") else accounts

    def update(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """With the row locked from its reading on: of two changes at once the second would write the address that it
        has read beside the key that the first one has written, and the key would go to another host.
        """
        with transaction.atomic():
            return super().update(request, *args, **kwargs)

    def perform_create(self, serializer: BaseSerializer[ProviderAccount]) -> None:
        named = serializer.validated_data.pop("team", None)
        team_id = team_for(self.request, RIGHTS["provider"]["create"], named=named, pointer="/team")
        self._save("provider.added", serializer, team_id=team_id)

    def perform_update(self, serializer: BaseSerializer[ProviderAccount]) -> None:
        serializer.validated_data.pop("team", None)
        self._save("provider.changed", serializer)

    def perform_destroy(self, instance: ProviderAccount) -> None:
        with transaction.atomic():
            self._record("provider.removed", instance, [])
            instance.delete()

    def _record(self, action: Action, account: ProviderAccount, fields: Iterable[str]) -> None:
        """Of the transaction that does it. Fields are named, their values are not: one is the key."""
        by, on = caller_of(self.request).label, ("provider", account.id)
        details = {"fields": sorted(fields)}
        record_action(action, by=by, team_id=account.team_id, on=on, label=account.name, details=details)

    def create(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        response = super().create(request, *args, **kwargs)
        response["Location"] = f"{request.path.rstrip('/')}/{response.data['id']}"
        return response

    def _save(self, action: Action, serializer: BaseSerializer[ProviderAccount], **fields: Any) -> None:
        try:
            with transaction.atomic():
                account = serializer.save(**fields)
                self._record(action, account, serializer.validated_data)
        except IntegrityError:
            raise ApiProblem(
                409, "provider-name-taken", "Your team has an account of this name. Choose another name."
            ) from None
        if "api_key" in serializer.validated_data or not hasattr(account, "has_key"):
            account.has_key = bool(account.api_key)  # type: ignore[attr-defined] # as `without_keys` adds it
