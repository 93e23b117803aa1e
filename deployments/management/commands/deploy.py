"""`deploy DESIGN --path PATH`: puts a design behind an endpoint."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from deployments.deploying import EndpointTaken, UnknownVersion, VersionChoice, deploy_design
from deployments.endpoint_path import InvalidEndpointPath
from deployments.management.acting import ActingCommand, find_design, find_team
from executor.errors import InvalidDesign


class Command(ActingCommand):
    """Prints the endpoint's path alone on standard output, and what was deployed there on standard error."""

    help = "Deploy a design: what is saved of it now, or one of its versions."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Django's --version, which says Django's, gives way to the design's.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("design", metavar="DESIGN", help="The design's name or id.")
        parser.add_argument("--path", required=True, metavar="PATH", help="The endpoint, as feedback-analysis.")
        parser.add_argument("--version", type=int, metavar="N", help="Its version. Default: what is saved now.")

    def handle(self, *_args: Any, **options: Any) -> None:
        design = find_design(options["design"], team=find_team(options["team"]))
        version: VersionChoice = "latest" if options["version"] is None else options["version"]
        try:
            deployment = deploy_design(design=design, endpoint_path=options["path"], by=self.by, version=version)
        except InvalidDesign as refused:
            raise CommandError(f"{design.name!r} cannot be deployed yet. Mend it first: {refused}") from None
        except (EndpointTaken, InvalidEndpointPath, UnknownVersion) as refused:
            raise CommandError(str(refused)) from None
        self.stderr.write(f"{design.name!r} is deployed, version {deployment.version.number}.", self.style.NOTICE)
        self.stdout.write(deployment.endpoint_path)
