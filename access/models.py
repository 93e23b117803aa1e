"""Teams, and the rule that every queryset starts from what the caller may see."""

from typing import Any, Self

from django.contrib.auth.models import Group
from django.db import models

from access.principal import ALL, Principal

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
    """Rows that belong to teams."""

    def visible_to(self, principal: Principal) -> Self:
        """Only what the principal's teams own. No team sees nothing, never everything."""
        if principal.team_ids is ALL:
            return self
        return self.filter(team_id__in=principal.team_ids)


class TeamOwned(models.Model):
    """A row of a team."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True
