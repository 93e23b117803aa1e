"""`manage.py verify_audit`: whether the audit is as it was written."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from access.audit_chain import Verification, verify_chain
from access.database_command import DatabaseCommand


class Command(DatabaseCommand):
    help = (
        "Computes the audit's chain of digests again and says what does not agree. Exit status 1 if anything does not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--expect",
            metavar="DIGEST",
            help="A digest that this command printed earlier and that was kept elsewhere: it has to be in the chain.",
        )

    def handle(self, *_args: Any, expect: str | None = None, **_options: Any) -> None:
        found = verify_chain(expected=expect)
        for problem in found.problems:
            self.stderr.write(problem)
        if found.problems:
            raise CommandError(f"The audit is not as it was written: {len(found.problems)} problems.")
        self.stdout.write(_told(found))
        if expect is None and found.segments:
            self.stdout.write(
                "Whether whole days were cut off at its end cannot be seen from it alone: give an earlier digest with"
                " --expect."
            )


def _told(found: Verification) -> str:
    if not found.segments:
        return f"No day is sealed yet: of the {found.unsealed} records that there are nothing can be said."
    sentence = (
        f"The sealed days are as they were written: {found.records} records of {found.segments} days. Of the"
        f" {found.unsealed} records since then nothing can be said before their day is over."
    )
    return f"{sentence}\nKeep this digest where nobody with access to the database can change it: {found.last_digest}"
