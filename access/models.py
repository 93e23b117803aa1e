"""Teams, and the rule that every queryset starts from what the caller may see."""

from typing import Any, Self

from django.contrib.auth.models import Group
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from access.principal import ALL, Everything, Principal, Verb

DEFAULT_TEAM_NAME = "default"


class Team(Group):
    """A team is a Django group; a right in it is one of these permissions."""

    class Meta:
        proxy = True
        permissions = [
            ("view_objects", "May see designs, deployments and executions"),
            ("execute_deployments", "May execute deployments and designs"),
            ("change_objects", "May change designs and deployments"),
            ("deploy_designs", "May deploy and undeploy designs"),
            ("manage_api_keys", "May make and revoke API keys"),
        ]

    @classmethod
    def default(cls) -> "Team":
        """The team that a fresh installation starts with."""
        return cls.objects.get_or_create(name=DEFAULT_TEAM_NAME)[0]  # type: ignore[return-value] # the stubs inherit Group's manager


class TeamQuerySet(models.QuerySet[Any]):
    """Rows that belong to teams. No team sees nothing, never everything."""

    def visible_to(self, principal: Principal, *verbs: Verb) -> Self:
        """Those of the teams in which the principal has one of these rights: by default, what they may view."""
        return self.of_teams(principal.teams_with(*(verbs or ("view",)))).narrowed_to(principal)

    def known_to(self, principal: Principal) -> Self:
        """Those of all the principal's teams, whatever their rights there: to find the one that something is done with.

        Whoever asks this asks for the right in that row's team next: who lacks it is told so, and who is in another
        team finds nothing.
        """
        return self.of_teams(principal.team_ids).narrowed_to(principal)

    def of_teams(self, team_ids: frozenset[int] | Everything) -> Self:
        return self if team_ids is ALL else self.filter(team_id__in=team_ids)

    def narrowed_to(self, principal: Principal) -> Self:
        """Without what a key is not for that is for some deployments only."""
        return self


class TeamOwned(models.Model):
    """A row of a team."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True


class AppendOnlyError(Exception):
    """Something tried to change or delete what is only ever added."""


class AppendOnlyQuerySet(TeamQuerySet):
    """Rows that are added, and neither changed nor deleted from here."""

    def update(self, **_: Any) -> int:
        raise AppendOnlyError("These rows are never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("These rows are never deleted.")

    def bulk_update(self, *_: Any, **__: Any) -> int:
        raise AppendOnlyError("These rows are never changed.")


class AppendOnly(models.Model):
    """A row that is added once."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError("This row is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("This row is never deleted.")


class AuditRecord(AppendOnly):
    """Who did what to which object, when and from where. Written by `access.audit` alone."""

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    actor = models.CharField(max_length=200, help_text="user:alice, key:crm, system, or who ran a command.")
    user_id = models.BigIntegerField(null=True, blank=True)
    key_id = models.UUIDField(null=True, blank=True)
    action = models.CharField(max_length=40)
    object_type = models.CharField(max_length=40, blank=True, default="")
    object_id = models.CharField(max_length=64, blank=True, default="")
    object_label = models.CharField(max_length=200, blank=True, default="")
    details = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    way = models.CharField(max_length=10, help_text="api, page, admin, socket, command or process.")
    address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=128, blank=True, default="")

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="audit_created"),
            models.Index(fields=["team", "-created_at", "-id"], name="audit_team_created"),
            models.Index(fields=["object_type", "object_id"], name="audit_object"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object_label}".strip()


class AuditSegment(AppendOnly):
    """The digest of one day's records (UTC), chained to that of the day before it that has any."""

    day = models.DateField(primary_key=True)
    records = models.PositiveBigIntegerField()
    previous_digest = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, help_text="SHA-256, in hexadecimal.")
    sealed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["day"]

    def __str__(self) -> str:
        return f"{self.day}: {self.digest[:12]}…"


class SignInWindow(models.Model):
    """Attempts to sign in to one account, from one address or from one known browser, in the present window.

    `about` is a keyed hash: what was typed for a name may be a password.
    """

    about = models.CharField(max_length=64, primary_key=True)
    began_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)
    #: Whether the audit was told that this window is full.
    is_told = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.about[:12]}…: {self.count} since {self.began_at}"
