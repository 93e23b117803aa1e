"""What the commands that do what the API does have in common: a team, a name in the audit, errors in one sentence."""

from typing import Any, cast
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from access.database_command import DatabaseCommand
from access.models import Team
from access.origin import acting_as_command
from deployments.endpoint_path import InvalidEndpointPath, canonical_endpoint_path
from deployments.models import Deployment
from designs.models import OrchestrationDesign

#: How many names a sentence lists.
NAMED = 20


class ActingCommand(DatabaseCommand):
    """Acts in one team; the audit names it `command:<its name>`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--team", metavar="NAME", help="The team to act in. Needed where there are several.")

    def execute(self, *args: Any, **options: Any) -> str | None:
        with acting_as_command():
            return super().execute(*args, **options)

    @property
    def by(self) -> str:
        """As who the audit and `triggered_by` know it."""
        return f"command:{type(self).__module__.rpartition('.')[2]}"


def find_team(named: str | None) -> Team:
    """The named team, else the only one. Raises `CommandError` with the names to choose from."""
    teams = cast(list[Team], list(Team.objects.order_by("name")))
    found = [team for team in teams if named is None or team.name == named]
    if len(found) == 1:
        return found[0]
    names = ", ".join(team.name for team in teams[:NAMED])
    if named is None:
        raise CommandError(f"Say in which team, with --team: {names}.")
    raise CommandError(f"There is no team {named!r}. There is: {names}.")


def find_live_deployment(path: str, *, team: str | None) -> Deployment:
    """What is deployed at that path, which is one team's alone. Raises `CommandError`."""
    try:
        canonical = canonical_endpoint_path(path)
    except InvalidEndpointPath as invalid:
        raise CommandError(str(invalid)) from None
    of_team = Deployment.objects.live() if team is None else Deployment.objects.live().filter(team=find_team(team))
    related = of_team.select_related("design", "version", "team")
    found: Deployment | None = related.filter(endpoint_path=canonical).first()
    if found is None:
        paths = of_team.order_by("endpoint_path").values_list("endpoint_path", flat=True)[:NAMED]
        raise CommandError(f"Nothing is deployed at {canonical}. There is: {', '.join(paths) or 'nothing at all'}.")
    return found


def find_design(given: str, *, team: Team) -> OrchestrationDesign:
    """The team's design of that id or name. Raises `CommandError`."""
    designs = OrchestrationDesign.objects.live().filter(team=team)
    found: list[OrchestrationDesign] = list(
        designs.filter(id=identity) if (identity := read_id(given)) else designs.filter(name=given)
    )
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(str(each.id) for each in found[:NAMED])
        raise CommandError(f"Several designs of {team.name} are called {given!r}. Say which, by its id: {ids}.")
    names = ", ".join(repr(name) for name in designs.order_by("name").values_list("name", flat=True)[:NAMED])
    raise CommandError(f"The team {team.name} has no design {given!r}. There is: {names or 'none at all'}.")


def read_id(given: str) -> UUID | None:
    """The id, if it is one."""
    try:
        return UUID(given)
    except ValueError:
        return None
