"""`manage.py reset_admin_password`: for whoever has lost it."""

from typing import Any

from django.conf import settings

from access.database_command import DatabaseCommand, name_of_database
from orchestration_site.first_visit import reset_admin_password


class Command(DatabaseCommand):
    mend = "Set DATA_DIR or DATABASE_URL as the site has them; or start it first: make run"
    help = "Gives the user admin the password in ADMIN_PASSWORD, or a new one, which it prints."

    def handle(self, *_args: Any, **_options: Any) -> None:
        chosen = settings.ENVIRONMENT.admin_password
        password = reset_admin_password(chosen.get_secret_value() if chosen else None)
        self.stderr.write(f"Of the site in {name_of_database()}:")
        self.stdout.write(f"User admin, password {password or 'as in ADMIN_PASSWORD'}")
