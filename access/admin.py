"""Users and teams in the admin. Django's groups are shown as what they are here: teams."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from access.models import Team

admin.site.unregister(Group)
admin.site.unregister(User)


@admin.register(Team)
class TeamAdmin(GroupAdmin):
    """Teams, with their members counted and the rights that they give."""

    list_display = ["name", "members", "rights"]
    search_fields = ["name", "user__username"]
    ordering = ["name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        teams = super().get_queryset(request).prefetch_related("permissions")
        return teams.annotate(member_count=Count("user", distinct=True))

    @admin.display(ordering="member_count")
    def members(self, team: Team) -> int:
        return int(team.member_count)  # type: ignore[attr-defined] # annotated above

    @admin.display(description="rights over the team's objects")
    def rights(self, team: Team) -> str:
        ours = {codename for codename, _ in Team._meta.permissions}  # noqa: SLF001 - Django's documented API
        return ", ".join(sorted(given.codename for given in team.permissions.all() if given.codename in ours)) or "none"


@admin.register(User)
class TeamUserAdmin(UserAdmin):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """Users, with their teams."""

    list_display = ["username", "email", "teams", "is_active", "is_staff", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display
    def teams(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all())) or "none: sees nothing"
