"""`manage.py reencrypt`: provider credentials are encrypted with the newest key, so that an old one can go."""

from typing import Any

from django.core.management.base import CommandError

from access.database_command import DatabaseCommand
from access.reencryption import reencrypt_all


class Command(DatabaseCommand):
    help = (
        "Encrypts all provider credentials with the first of ENCRYPTION_KEYS. To change the key: put the new one first"
        " in ENCRYPTION_KEYS, restart every process, run this, take the old one out, and restart again."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        done = reencrypt_all()
        for name in done.unreadable:
            self.stderr.write(f"None of the keys opens the credentials of {name}. Enter them anew.")
        if done.unreadable:
            raise CommandError(f"{done.rewritten} were encrypted again, {len(done.unreadable)} could not be read.")
        self.stdout.write(f"{done.rewritten} were encrypted again with the newest key.")
