"""Which team something new belongs to, where its maker may make it in several."""

from typing import Any

from django.core.exceptions import PermissionDenied

from access.models import DEFAULT_TEAM_NAME, Team
from access.principal import ALL, Principal, Verbs


class UnknownTeam(Exception):
    """There is no team of that name, or the caller is not in it: the two are not told apart."""

    def __init__(self) -> None:
        super().__init__("You are in no team of this name.")


class NoTeam(Exception):
    """There is no team that it could belong to."""

    def __init__(self) -> None:
        super().__init__("You are in no team that could own this. Ask an administrator for one.")


class TeamNeeded(Exception):
    """Several are possible, and none of them is meant by itself."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(f"Say in which of your teams: {', '.join(names)}.")


def choose_team(principal: Principal, verbs: Verbs, *, named: str | None = None) -> int:
    """The named team, if one of these rights is held there. Without a name the only team where it is, or the default
    team if it is among them.

    Raises `UnknownTeam`, `PermissionDenied`, `NoTeam`, `TeamNeeded`.
    """
    if named is not None:
        return _named(principal, verbs, named)
    candidates = principal.teams_with(*verbs)
    if candidates is not ALL and len(candidates) == 1:
        return next(iter(candidates))
    names = teams_to_choose(principal, *verbs)
    if not names:
        raise NoTeam
    default = next((pk for pk, name in names.items() if name == DEFAULT_TEAM_NAME), None)
    if default is None and len(names) > 1:
        raise TeamNeeded(sorted(names.values()))
    return next(iter(names)) if default is None else default


def teams_to_choose(principal: Principal, *verbs: Any) -> dict[int, str]:
    """The names of the teams in which one of these rights is held, the default team first."""
    candidates = principal.teams_with(*verbs)
    teams = Team.objects.order_by("name")
    rows = (teams if candidates is ALL else teams.filter(pk__in=candidates)).values_list("pk", "name")
    return dict(sorted(rows, key=lambda row: row[1] != DEFAULT_TEAM_NAME))


def _named(principal: Principal, verbs: Verbs, name: str) -> int:
    # No name has a NUL, and PostgreSQL would not take it.
    team_id = None if "\0" in name else Team.objects.filter(name=name).values_list("pk", flat=True).first()
    if team_id is None or not (principal.team_ids is ALL or team_id in principal.team_ids):
        raise UnknownTeam
    if not principal.may_in(team_id, *verbs):
        raise PermissionDenied(f"This needs the right to {' or '.join(verbs)} in the team {name}.")
    return team_id
