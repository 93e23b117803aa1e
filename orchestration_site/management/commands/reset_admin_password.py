"""`manage.py reset_admin_password`: for whoever has lost it."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from orchestration_site.first_visit import apply_migrations, reset_admin_password


class Command(BaseCommand):
    help = "Gives the user admin the password in ADMIN_PASSWORD, or a new one, which it prints."

    def handle(self, *_args: Any, **_options: Any) -> None:
        apply_migrations()  # on a folder where nothing was ever started, too
        chosen = settings.ENVIRONMENT.admin_password
        password = reset_admin_password(chosen.get_secret_value() if chosen else None)
        self.stdout.write(f"User admin, password {password or 'as in ADMIN_PASSWORD'}")
