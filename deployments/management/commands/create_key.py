"""`create_key NAME`: makes an API key and prints it, once."""

from typing import Any, Final, cast

from django.core.exceptions import ValidationError as InvalidName
from django.core.management.base import CommandError, CommandParser
from rest_framework.exceptions import ValidationError
from rest_framework.fields import Field

from access.database_command import name_of_database
from access.models import Team
from deployments.api.key_serializers import KeyLimitsSerializer, KeyRequest
from deployments.endpoint_path import InvalidEndpointPath, canonical_endpoint_path
from deployments.keys import DEFAULT_SCOPES, SCOPES, make_key
from deployments.limits import InvalidLimits, KeyLimits
from deployments.management.key_commands import KeyCommand
from deployments.models import Deployment
from deployments.models.api_key import require_one_line

#: Of each limit of a key, what its option says.
LIMIT_OPTIONS: Final = {
    "rate_count": "Executions that it may ask for in --rate-seconds.",
    "rate_seconds": "The seconds of its rate: 60 is a minute, 3600 an hour.",
    "max_concurrent": "Executions at once, those that wait included.",
    "daily_max_executions": "Executions a day. A day is one of UTC, here and below.",
    "daily_max_tokens": "Tokens a day, over all that it executes.",
    "daily_max_cost_usd": "USD a day, as far as prices are known.",
}


class Command(KeyCommand):
    """Prints the key alone on standard output, and the database that it went to on standard error."""

    help = "Make an API key. It is printed on standard output and cannot be read again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="What the key is called in lists and in triggered_by.")
        parser.add_argument(
            "--scope",
            action="append",
            choices=SCOPES,
            dest="scopes",
            help=f"What it may do; give it several times for several. Default: {' and '.join(DEFAULT_SCOPES)}.",
        )
        parser.add_argument(
            "--deployment",
            action="append",
            metavar="PATH",
            dest="paths",
            help="An endpoint that it is for; give it several times for several. Default: all of the team's.",
        )

        parser.add_argument(
            "--team", metavar="NAME", help="Whose it is. Default: that of its deployments, else the team default."
        )
        parser.add_argument(
            "--expires",
            metavar="TIME",
            help="From then on it opens nothing, as 2027-01-31T12:00Z. Default: it lasts until it is revoked.",
        )
        for name, words in LIMIT_OPTIONS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", metavar="N", help=words)

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= len(options["name"]) <= 100:
            raise CommandError("NAME has 1 to 100 characters.")
        try:
            require_one_line(options["name"])
        except InvalidName as refused:
            raise CommandError(refused.message) from None
        paths: list[str] | None = options["paths"]
        deployments = None if paths is None else [_find_deployment(path) for path in paths]
        _, plaintext = make_key(
            name=options["name"],
            team_id=_team_of(deployments, options["team"]),
            scopes=options["scopes"] or DEFAULT_SCOPES,
            deployments=deployments,
            expires_at=_run(KeyRequest().fields["expires_at"], "expires", options["expires"]),
            created_by="create_key",
            limits=_read_limits(options),
        )
        self.print_key(plaintext, said=f"Key {options['name']!r} made in {name_of_database()}.")


def _team_of(deployments: list[Deployment] | None, named: str | None) -> int:
    team = Team.default() if named is None else Team.objects.filter(name=named).first()
    if team is None:
        known = ", ".join(Team.objects.order_by("name").values_list("name", flat=True)[:20])
        raise CommandError(f"There is no team {named}. There is: {known}.")
    team_ids = {deployment.team_id for deployment in deployments} if deployments else {team.pk}
    if len(team_ids) > 1:
        raise CommandError("These deployments belong to several teams. Make a key for each team.")
    if named is not None and team_ids != {team.pk}:
        raise CommandError(f"These deployments are not those of the team {named}. Leave --team out: it is theirs.")
    return team_ids.pop()


def _read_limits(options: dict[str, Any]) -> KeyLimits:
    fields = KeyLimitsSerializer().fields
    limits = KeyLimits(**{name: _run(fields[name], name, options[name]) for name in LIMIT_OPTIONS})
    try:
        limits.check()
    except InvalidLimits as invalid:
        raise CommandError(str(invalid.problems[0].message)) from None
    return limits


def _run(field: Field[Any, Any, Any, Any], option: str, text: str | None) -> Any:
    """What the API makes of it."""
    if text is None:
        return None
    try:
        return field.run_validation(text)
    except ValidationError as error:
        raise CommandError(f"--{option.replace('_', '-')}: {cast(list[str], error.detail)[0]}") from None


def _find_deployment(path: str) -> Deployment:
    try:
        canonical = canonical_endpoint_path(path)
    except InvalidEndpointPath as invalid:
        raise CommandError(str(invalid)) from None
    deployment: Deployment | None = Deployment.objects.by_endpoint(canonical).first()
    if deployment is None:
        known = Deployment.objects.live().order_by("endpoint_path").values_list("endpoint_path", flat=True)[:20]
        raise CommandError(f"Nothing is deployed at {canonical}. There is: {', '.join(known) or 'nothing at all'}.")
    return deployment
