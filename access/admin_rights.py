"""The admin by the table of rights: a staff member of a team finds that team's rows, and does what the table says.

Django's own permissions on models count for nothing here. Whoever is not staff has no admin at all.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from types import new_class
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin, RelatedFieldListFilter
from django.contrib.auth.models import User
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest

from access.audited_admin import AuditedAdmin
from access.models import Team
from access.origin import note_caller
from access.principal import ALL, Principal, Verb
from access.principal_of import principal_of
from access.rights import RIGHTS

Act = Callable[[Any, HttpRequest, QuerySet[Any]], Any]


def principal_in_admin(request: HttpRequest) -> Principal:
    """The signed-in person's, looked up once a request."""
    found: Principal | None = getattr(request, "principal", None)
    if found is None:
        # Nobody is signed in where the admin only draws its form for that.
        found = principal_of(request.user) if isinstance(request.user, User) else Principal({}, ALL, "")
        note_caller(found)
        request.principal = found  # type: ignore[attr-defined] # ours
    return found


class OwnTeamsFilter(RelatedFieldListFilter):
    """A filter by team that names the reader's teams and no other."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        team_ids = principal_in_admin(request).team_ids
        if team_ids is ALL:
            return super().field_choices(field, request, model_admin)
        return field.get_choices(include_blank=False, ordering=("name",), limit_choices_to={"pk__in": team_ids})


class TeamRowsAdmin(ModelAdmin):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """Rows that belong to teams, directly or through another row."""

    #: What the rows are in `access.rights.RIGHTS`.
    kind: ClassVar[str]
    #: How a row leads to its team.
    team_path: ClassVar[str] = "team"
    #: What each of the admin's actions is in that table.
    action_rights: ClassVar[Mapping[str, str]] = {}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self._within(super().get_queryset(request), request, self._verbs("list"))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "list")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "list", obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "create")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not for who may not see it: here a row is shown to be changed."""
        return self._may(request, "list", obj) and self._may(request, "update", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "list", obj) and self._may(request, "destroy", obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Those that the reader may do somewhere, each held to the rows of the teams where they may."""
        given: dict[str, Any] = super().get_actions(request)
        held: dict[str, Any] = {}
        for name, (act, _, description) in given.items():
            verbs = self._verbs("destroy" if name == "delete_selected" else self.action_rights[name])
            if principal_in_admin(request).may(*verbs):
                held[name] = self._held_to(verbs, act), name, description
        return held

    def formfield_for_foreignkey(self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        """Something new goes to a team where the reader may make it."""
        if db_field.related_model is Team and "create" in RIGHTS[self.kind]:
            team_ids = principal_in_admin(request).teams_with(*self._verbs("create"))
            kwargs["queryset"] = Team.objects.all() if team_ids is ALL else Team.objects.filter(pk__in=team_ids)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def _verbs(self, action: str) -> tuple[Verb, ...]:
        return RIGHTS[self.kind][action]

    def _may(self, request: HttpRequest, action: str, row: Any = None) -> bool:
        principal, verbs = principal_in_admin(request), self._verbs(action)
        return principal.may(*verbs) if row is None else principal.may_in(self._team_of(row), *verbs)

    def _team_of(self, row: Any) -> int | None:
        for owner in self.team_path.split("__")[:-1]:
            row = getattr(row, owner)
        team_id: int | None = row.team_id
        return team_id

    def _within(self, rows: QuerySet[Any], request: HttpRequest, verbs: tuple[Verb, ...]) -> QuerySet[Any]:
        team_ids = principal_in_admin(request).teams_with(*verbs)
        return rows if team_ids is ALL else rows.filter(**{f"{self.team_path}__in": team_ids})

    def _held_to(self, verbs: tuple[Verb, ...], act: Act) -> Act:
        @wraps(act)
        def act_within(shown: Any, request: HttpRequest, rows: QuerySet[Any]) -> Any:
            within = self._within(rows, request, verbs)
            if within is not rows and (left := rows.count() - within.count()):
                sentence = f"{left} left alone: this needs the right to {' or '.join(verbs)} in their team."
                self.message_user(request, sentence, messages.ERROR)
            return act(shown, request, within)

        return act_within


class SuperusersAlone:
    """Put it before a ModelAdmin: what is no team's is for superusers, whatever Django's permissions say."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request) and super().has_module_permission(request)  # type: ignore[misc] # of the ModelAdmin

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request) and super().has_view_permission(request, obj)  # type: ignore[misc] # the same

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request) and super().has_add_permission(request)  # type: ignore[misc] # the same

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request) and super().has_change_permission(request, obj)  # type: ignore[misc] # the same

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request) and super().has_delete_permission(request, obj)  # type: ignore[misc] # the same


def reserve_the_rest(site: AdminSite) -> None:
    """Leave to superusers every model whose admin does not read the table: users, teams, and other packages' tables.
    What they change there is in the audit like everything else.
    """
    for model, shown in list(site._registry.items()):  # noqa: SLF001 - the site has no public way to ask
        if not isinstance(shown, TeamRowsAdmin | SuperusersAlone):
            audited = () if isinstance(shown, AuditedAdmin) else (AuditedAdmin,)
            reserved = new_class(f"Reserved{type(shown).__name__}", (SuperusersAlone, *audited, type(shown)))
            site.unregister(model)
            site.register(model, reserved)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
