"""`manage.py load_samples`: the sample designs, for who has deleted them or has a new version of the site."""

from typing import Any

from django.core.management.base import CommandError

from access.database_command import DatabaseCommand, name_of_database
from access.models import Team
from orchestration_site.first_visit import SamplesRefused, deploy_samples


class Command(DatabaseCommand):
    help = "Stores and deploys the sample designs whose endpoint is free."

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stderr.write(f"Of the site in {name_of_database()}:")
        try:
            deployed = deploy_samples(Team.default())
        except SamplesRefused as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write("\n".join(sample.endpoint_path for sample in deployed) or "Every sample is deployed already.")
