"""What the commands for API keys have in common: the key alone on standard output, the rest beside it."""

from access.database_command import DatabaseCommand


class KeyCommand(DatabaseCommand):
    """Says which database the key is for."""

    mend = "If it is new, type: make run. Else type: manage.py doctor"

    def print_key(self, plaintext: str, *, said: str) -> None:
        """The key on standard output and nothing else there, so that a script can take it."""
        self.stderr.write(said, self.style.NOTICE)
        self.stdout.write(plaintext)
