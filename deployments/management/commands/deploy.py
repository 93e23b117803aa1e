"""`deploy DESIGN --path PATH`: puts a design behind an endpoint, or with `--update` another version of it."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from deployments.deploying import (
    DeploymentChanges,
    DeploymentGone,
    EndpointTaken,
    UnknownVersion,
    VersionChoice,
    deploy_design,
    update_deployment,
)
from deployments.endpoint_path import InvalidEndpointPath, canonical_endpoint_path
from deployments.management.acting import ActingCommand, find_design, find_team
from deployments.models import Deployment
from designs.models import OrchestrationDesign
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
        parser.add_argument(
            "--update",
            action="store_true",
            help="The design is deployed there: give it this version. Schedule, limits, keys and alerts stay.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        design = find_design(options["design"], team=find_team(options["team"]))
        version: VersionChoice = "latest" if options["version"] is None else options["version"]
        deploy = self._update if options["update"] else self._deploy
        try:
            deployment = deploy(design, options["path"], version)
        except InvalidDesign as refused:
            raise CommandError(f"{design.name!r} cannot be deployed yet. Mend it first: {refused}") from None
        except EndpointTaken as refused:
            raise CommandError(f"{refused} Or say --update, if it is this design that is deployed there.") from None
        except (DeploymentGone, InvalidEndpointPath, UnknownVersion) as refused:
            raise CommandError(str(refused)) from None
        self.stderr.write(f"{design.name!r} is deployed, version {deployment.version.number}.", self.style.NOTICE)
        self.stdout.write(deployment.endpoint_path)

    def _deploy(self, design: OrchestrationDesign, path: str, version: VersionChoice) -> Deployment:
        return deploy_design(design=design, endpoint_path=path, by=self.by, version=version)

    def _update(self, design: OrchestrationDesign, path: str, version: VersionChoice) -> Deployment:
        """Raises `CommandError` where that design is not deployed."""
        canonical = canonical_endpoint_path(path)
        deployed: Deployment | None = Deployment.objects.by_endpoint(canonical).first()
        if deployed is None:
            raise CommandError(f"Nothing is deployed at {canonical}. Leave --update out to deploy it there.")
        if deployed.design_id != design.id:
            raise CommandError(
                f"At {canonical} is {deployed.design_name!r}, which is another design. Choose another path."
            )
        return update_deployment(deployment_id=deployed.id, changes=DeploymentChanges(version=version), by=self.by)
