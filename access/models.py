"""Teams, and the rule that every queryset starts from what the caller may see."""

from typing import Any, Self

from django.contrib.auth.models import Group
from django.db import models

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
