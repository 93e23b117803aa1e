"""What is changed in the admin, in the audit as well as in Django's own log."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Manager, Model
from django.http import HttpRequest

from access.audit import Action, record_action
from access.origin import note_caller
from access.principal_of import principal_of


class AuditedAdmin(ModelAdmin):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """Objects that are added, changed and deleted here. Fields are named, values are not: some are secret."""

    #: Fields of which the record says what they are from then on: who was given which right, for one.
    told_fields: ClassVar[Sequence[str]] = ()

    @transaction.atomic
    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """In one transaction with what it records; the pages of single objects have one of Django's."""
        return super().response_action(request, *args, **kwargs)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        self._record("admin.added", request, obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        self._record("admin.changed", request, obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._record("admin.deleted", request, obj, [])
        return super().log_deletions(request, queryset)

    def _record(self, action: Action, request: HttpRequest, obj: Model, message: Any) -> None:
        if isinstance(request.user, User):
            note_caller(principal_of(request.user))
        record_action(
            action,
            by=f"user:{request.user.get_username()}",
            team_id=getattr(obj, "team_id", None),
            # By the name that it has everywhere else, where it has one: so that its records are found together.
            on=(getattr(self, "kind", obj._meta.model_name or ""), obj.pk),  # noqa: SLF001 - Django's documented API
            label=str(obj),
            details={"changes": message, **self._told(obj)} if message else {},
        )

    def _told(self, obj: Model) -> dict[str, Any]:
        """As it is now; what it was before, the record before this one says."""
        return {"now": {name: _value_of(obj, name) for name in self.told_fields}} if self.told_fields else {}


def _value_of(obj: Model, name: str) -> Any:
    value = getattr(obj, name)
    return sorted(map(str, value.all())) if isinstance(value, Manager) else value
