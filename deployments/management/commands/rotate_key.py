"""`rotate_key PREFIX`: gives an API key another secret and prints the key, once."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from access.database_command import name_of_database
from deployments.keys import DEFAULT_GRACE, MAX_GRACE, RotationRefused, rotate_key
from deployments.management.key_commands import KeyCommand
from deployments.models import ApiKey


class Command(KeyCommand):
    """Prints the key alone on standard output, and until when the earlier secret goes on on standard error."""

    help = "Give an API key another secret. It is printed on standard output and cannot be read again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", metavar="PREFIX", help="The 12 characters after ok_, as lists show them.")
        parser.add_argument(
            "--grace-seconds",
            type=int,
            default=int(DEFAULT_GRACE.total_seconds()),
            metavar="N",
            help="How long the secret that it had opens the same still; 0 ends it at once. Default: a day.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        seconds: int = options["grace_seconds"]
        if not 0 <= seconds <= MAX_GRACE.total_seconds():
            raise CommandError(f"--grace-seconds is a number from 0 to {int(MAX_GRACE.total_seconds())}.")
        key = _find_key(options["prefix"])
        try:
            plaintext = rotate_key(key=key, by="rotate_key", grace=timedelta(seconds=seconds))
        except RotationRefused as refused:
            raise CommandError(str(refused)) from None
        until = key.previous_until
        ends = "ended at once" if until is None else f"opens until {until:%Y-%m-%dT%H:%M:%SZ}"
        said = f"Key {key.name!r} rotated in {name_of_database()}. The secret that it had {ends}."
        self.print_key(plaintext, said=said)


def _find_key(text: str) -> ApiKey:
    # Not the whole key: what is typed here stands in histories and lists of processes.
    prefix = text.removeprefix("ok_").removesuffix("…").removesuffix("_")
    key: ApiKey | None = ApiKey.objects.filter(prefix=prefix).first()
    if key is None:
        known = ", ".join(f"{each.prefix} ({each.name})" for each in ApiKey.objects.filter(revoked_at=None)[:20])
        raise CommandError(f"No key has this prefix. There is: {known or 'none at all'}.")
    return key
