"""What commands that need the database have in common: which one it is, and an outage said in a sentence."""

from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError, connection


class DatabaseCommand(BaseCommand):
    """Ends with a sentence and status 1 where the database is away, or has not the site's tables."""

    #: What to do about it.
    mend: ClassVar[str] = "Type: manage.py doctor"

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except (OperationalError, ProgrammingError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise CommandError(f"{name_of_database()} cannot be used ({reason}). {self.mend}") from None


def name_of_database() -> str:
    """Which database the command works on."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"SQLite at {settings['NAME']}"
    return f"{connection.display_name} {settings['NAME']} at {settings['HOST'] or 'the local socket'}"
