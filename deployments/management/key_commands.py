"""What the commands for API keys have in common: the key alone on standard output, the rest beside it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError, connection


class KeyCommand(BaseCommand):
    """Says which database it was when that one cannot be used."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(f"{name_of_database()} cannot be used ({error}). If it is new, type: make run") from None

    def print_key(self, plaintext: str, *, said: str) -> None:
        """The key on standard output and nothing else there, so that a script can take it."""
        self.stderr.write(said, self.style.NOTICE)
        self.stdout.write(plaintext)


def name_of_database() -> str:
    """Which database the command works on."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"SQLite at {settings['NAME']}"
    return f"{connection.display_name} {settings['NAME']} at {settings['HOST'] or 'the local socket'}"
