"""`manage.py setup`: what `serve` does before it starts, for a system of several processes."""

from typing import Any

from django.conf import settings

from access.database_command import DatabaseCommand
from orchestration_site.first_visit import apply_migrations, make_first_visit


class Command(DatabaseCommand):
    help = "Brings the database up to date; the first time also makes the user admin and deploys the samples."
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        apply_migrations()
        chosen = settings.ENVIRONMENT.admin_password
        first_visit = make_first_visit(chosen.get_secret_value() if chosen else None)
        if first_visit is not None and first_visit.password is not None:
            self.stdout.write(f"User admin, password {first_visit.password} (shown this once).")
