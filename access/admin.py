"""Users and teams in the admin. Django's groups are shown as what they are here: teams."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import PROTECT, Count, ManyToOneRel, QuerySet
from django.http import HttpRequest

from access.admin_rights import SuperusersAlone
from access.audited_admin import AuditedAdmin
from access.models import AuditRecord, AuditSegment, Team
from access.read_only_admin import ReadOnly, ReadOnlyAdmin

admin.site.unregister(Group)
admin.site.unregister(User)


@admin.register(Team)
class TeamAdmin(AuditedAdmin, GroupAdmin):
    """Teams, with their members counted and the rights that they give."""

    told_fields = ["name", "permissions"]
    list_display = ["name", "members", "rights"]
    search_fields = ["name", "user__username"]
    ordering = ["name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        teams: QuerySet[Group] = super().get_queryset(request).prefetch_related("permissions")
        return teams.annotate(member_count=Count("user", distinct=True))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Why a team cannot be deleted, in a sentence: one that something belongs to is kept, as the audit is."""
        kept = [sentence for team in objs if (sentence := _why_kept(team)) is not None]
        return ([], {}, set(), kept) if kept else super().get_deleted_objects(objs, request)

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        """The five rights, of all permissions that Django has: no other counts for anything."""
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        if db_field.name == "permissions":
            field.queryset = _rights_of_ours()
            field.help_text = "What each member may do with what is the team's."
        return field

    @admin.display(ordering="member_count")
    def members(self, team: Team) -> int:
        return int(team.member_count)  # type: ignore[attr-defined] # annotated above

    @admin.display(description="rights over the team's objects")
    def rights(self, team: Team) -> str:
        ours = {codename for codename, _ in Team._meta.permissions}  # noqa: SLF001 - Django's documented API
        return ", ".join(sorted(given.codename for given in team.permissions.all() if given.codename in ours)) or "none"


def _rights_of_ours() -> QuerySet[Permission]:
    codenames = [codename for codename, _ in Team._meta.permissions]  # noqa: SLF001 - Django's documented API
    return Permission.objects.filter(content_type__app_label="access", codename__in=codenames).select_related(
        "content_type"
    )


def _why_kept(team: Group) -> str | None:
    """None for a team that nothing belongs to."""
    owned: list[str] = []
    for relation in Group._meta.get_fields(include_hidden=True):  # noqa: SLF001 - Django's documented API
        if isinstance(relation, ManyToOneRel) and relation.on_delete is PROTECT:
            rows, names = relation.related_model._base_manager, relation.related_model._meta  # noqa: SLF001 - as above
            if count := rows.filter(**{relation.field.name: team.pk}).count():
                owned.append(f"{count} {names.verbose_name if count == 1 else names.verbose_name_plural}")
    if not owned:
        return None
    return (
        f"The team {team.name} stays, for this belongs to it: {', '.join(owned)}. What was run and what is in the audit"
        " is never deleted. Take its members and its permissions away instead: then nobody but superusers sees it."
    )


@admin.register(User)
class TeamUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """Users, with their teams."""

    told_fields = ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]
    list_display = ["username", "email", "teams", "is_active", "is_staff", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display
    def teams(self, user: User) -> str:
        if user.is_superuser:
            return "all (superuser)"
        return ", ".join(sorted(group.name for group in user.groups.all())) or "none: sees nothing"

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        """With what holds here: Django's own words tell of rights that count everywhere."""
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        if db_field.name == "groups":
            field.label, field.help_text = "Teams", "A team's rights are over its own things alone."
        elif db_field.name == "user_permissions":
            field.queryset = _rights_of_ours()
            field.help_text = "They count in every team of this user, and in those that they join later."
        return field


@admin.register(AuditRecord)
class AuditRecordAdmin(ReadOnlyAdmin):
    """Who did what to which object, when and from where. What is no team's, signing in above all, superusers see."""

    kind = "audit"
    list_display = ["created_at", "actor", "action", "object_type", "object_label", "team", "way", "address"]
    list_filter = ["action", "object_type", "way", "created_at"]
    search_fields = ["actor", "object_label", "object_id", "request_id", "address"]
    list_select_related = ["team"]
    show_full_result_count = False


@admin.register(AuditSegment)
class AuditSegmentAdmin(ReadOnly, SuperusersAlone, ModelAdmin):  # type: ignore[type-arg] # as above
    """The sealed days of the audit; `manage.py verify_audit` computes them again."""

    list_display = ["day", "records", "digest", "sealed_at"]
