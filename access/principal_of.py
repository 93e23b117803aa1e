"""What a signed-in person may do."""

from collections.abc import Collection
from typing import Final

from django.contrib.auth.models import Permission, User

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


_VERB_OF: Final[dict[str, Verb]] = {name.removeprefix("access."): verb for verb, name in PERMISSION_OF.items()}


def principal_of(user: User) -> Principal:
    """A superuser may do all, for every team; others what their teams and own permissions give; no team, nothing."""
    return principals_of([user])[user.pk]


def principals_of(users: Collection[User]) -> dict[int, Principal]:
    """The Principal of each user, by the user's id: three queries, and one for superusers, however many they are."""
    members = [user.pk for user in users if user.is_active and not user.is_superuser]
    teams, verbs = _teams_of(members), _verbs_of(members)
    everything = _superusers_team() if any(user.is_active and user.is_superuser for user in users) else None
    return {user.pk: _principal(user, teams.get(user.pk, {}), verbs.get(user.pk, set()), everything) for user in users}


def _principal(user: User, teams: dict[int, str], verbs: set[Verb], superusers_team: int | None) -> Principal:
    label = f"user:{user.get_username()}"
    if user.is_active and user.is_superuser:
        return Principal(superusers_team, ALL, ALL_VERBS, ALL, label, user_id=user.pk)
    if not teams:
        return Principal(None, frozenset(), frozenset(), ALL, label, user_id=user.pk)
    # New objects go to the default team where there is a choice.
    first = min(teams, key=lambda pk: (teams[pk] != DEFAULT_TEAM_NAME, pk))
    return Principal(first, frozenset(teams), frozenset(verbs), ALL, label, user_id=user.pk)


def _superusers_team() -> int | None:
    team = Team.objects.filter(name=DEFAULT_TEAM_NAME).first() or Team.objects.order_by("pk").first()
    return team.pk if team else None


def _teams_of(user_ids: Collection[int]) -> dict[int, dict[int, str]]:
    teams: dict[int, dict[int, str]] = {}
    if user_ids:
        for user_id, pk, name in User.objects.filter(pk__in=user_ids, groups__isnull=False).values_list(
            "pk", "groups__pk", "groups__name"
        ):
            teams.setdefault(user_id, {})[pk] = name
    return teams


def _verbs_of(user_ids: Collection[int]) -> dict[int, set[Verb]]:
    """What the users' own permissions and those of their groups allow."""
    verbs: dict[int, set[Verb]] = {}
    if user_ids:
        ours = Permission.objects.filter(content_type__app_label="access", codename__in=_VERB_OF)
        for path in ("user", "group__user"):
            for user_id, codename in ours.filter(**{f"{path}__in": user_ids}).values_list(path, "codename"):
                verbs.setdefault(user_id, set()).add(_VERB_OF[codename])
    return verbs
