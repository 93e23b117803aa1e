"""What a signed-in person may do."""

from typing import Final

from django.contrib.auth.models import User

from access.models import DEFAULT_TEAM_NAME, Team
from access.principal import ALL, ALL_VERBS, Principal, Verb

#: The permission (on Team) that stands for each verb.
PERMISSION_OF: Final[dict[Verb, str]] = {
    "view": "access.view_objects",
    "execute": "access.execute_deployments",
    "change": "access.change_objects",
    "deploy": "access.deploy_designs",
    "manage_keys": "access.manage_api_keys",
}


def principal_of(user: User) -> Principal:
    """A superuser may do all, for every team; others what their teams and own permissions give; no team, nothing."""
    label = f"user:{user.get_username()}"
    if user.is_active and user.is_superuser:
        team = Team.objects.filter(name=DEFAULT_TEAM_NAME).first() or Team.objects.order_by("pk").first()
        return Principal(team.pk if team else None, ALL, ALL_VERBS, ALL, label, user_id=user.pk)
    teams = dict(user.groups.values_list("pk", "name")) if user.is_active else {}
    if not teams:
        return Principal(None, frozenset(), frozenset(), ALL, label, user_id=user.pk)
    # New objects go to the default team where there is a choice.
    first = min(teams, key=lambda pk: (teams[pk] != DEFAULT_TEAM_NAME, pk))
    return Principal(first, frozenset(teams), _verbs_of(user), ALL, label, user_id=user.pk)


def _verbs_of(user: User) -> frozenset[Verb]:
    return frozenset(verb for verb, permission in PERMISSION_OF.items() if user.has_perm(permission))
