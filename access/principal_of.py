"""What a signed-in person may do."""

from collections.abc import Collection
from typing import Final, Literal

from django.contrib.auth.models import Permission, User

from access.principal import ALL, Principal, Verb

#: The permission (on Team) that stands for each verb.
PERMISSION_OF: Final[dict[Verb, str]] = {
    "view": "access.view_objects",
    "execute": "access.execute_deployments",
    "change": "access.change_objects",
    "deploy": "access.deploy_designs",
    "manage_keys": "access.manage_api_keys",
}


_VERB_OF: Final[dict[str, Verb]] = {name.removeprefix("access."): verb for verb, name in PERMISSION_OF.items()}


def principal_of(user: User) -> Principal:
    """A superuser may do all, in every team. Others may do in each of their teams what its permissions give its
    members, and what they were given themselves, which counts in all of their teams. No team, nothing.
    """
    return principals_of([user])[user.pk]


def principals_of(users: Collection[User]) -> dict[int, Principal]:
    """The Principal of each user, by the user's id: three queries, however many they are; none for superusers."""
    members = [user.pk for user in users if user.is_active and not user.is_superuser]
    teams = _teams_of(members)
    of_teams = _verbs_of("group", {team_id for team_ids in teams.values() for team_id in team_ids})
    of_users = _verbs_of("user", teams)
    return {
        user.pk: _principal(user, teams.get(user.pk, set()), of_teams, of_users.get(user.pk, set())) for user in users
    }


def _principal(user: User, team_ids: set[int], of_teams: dict[int, set[Verb]], own: set[Verb]) -> Principal:
    label = f"user:{user.get_username()}"
    if user.is_active and user.is_superuser:
        return Principal(ALL, ALL, label, user_id=user.pk)
    rights = {team_id: frozenset(own | of_teams.get(team_id, set())) for team_id in team_ids}
    return Principal(rights, ALL, label, user_id=user.pk)


def _teams_of(user_ids: Collection[int]) -> dict[int, set[int]]:
    teams: dict[int, set[int]] = {}
    if user_ids:
        pairs = User.objects.filter(pk__in=user_ids, groups__isnull=False).values_list("pk", "groups__pk")
        for user_id, team_id in pairs:
            teams.setdefault(user_id, set()).add(team_id)
    return teams


def _verbs_of(holder: Literal["group", "user"], ids: Collection[int]) -> dict[int, set[Verb]]:
    """What these teams' permissions allow their members, or these users' own permissions them."""
    verbs: dict[int, set[Verb]] = {}
    if ids:
        ours = Permission.objects.filter(content_type__app_label="access", codename__in=_VERB_OF)
        for holder_id, codename in ours.filter(**{f"{holder}__in": ids}).values_list(holder, "codename"):
            verbs.setdefault(holder_id, set()).add(_VERB_OF[codename])
    return verbs
