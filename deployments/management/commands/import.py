# ruff: noqa: N999 - the file is the command's name, and is loaded by it
"""`import FILE`: the designs of a file that `export` wrote, or a single design's document."""

from collections import Counter
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from deployments.management.acting import ActingCommand, find_team
from deployments.management.json_files import read_json
from designs.importing import ImportOutcome, import_designs
from executor.errors import MalformedDesign
from executor.json_types import Json
from executor.terminal_text import printable

TOLD: Final[dict[ImportOutcome, str]] = {
    "created": "created",
    "replaced": "replaced: its draft is the file's now; its versions and deployments are as they were",
    "unchanged": "unchanged: it is here already, the same",
    "differs": "left alone: one of this name is here already, and differs. To replace its draft, add --replace",
    "ambiguous": "left alone: several of this name are here already, and differ. Rename all but one",
}


class Command(ActingCommand):
    """All of the file; nothing where a design of it cannot be read. Status 1 where one that differs was left alone."""

    help = "Store the designs of a file. It may be repeated: what is there already is left alone."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="What export wrote, or one design; - for standard input.")
        parser.add_argument("--replace", action="store_true", help="Replace the draft of one that has the same name.")

    def handle(self, *_args: Any, **options: Any) -> None:
        documents = _documents_in(read_json(options["file"]), options["file"])
        team = find_team(options["team"])
        try:
            imported = import_designs(documents=documents, team=team, by=self.by, replaces=options["replace"])
        except MalformedDesign as refused:
            sentence = f"{options['file']} holds a design that cannot be read, so nothing was imported: {refused}"
            raise CommandError(printable(sentence)) from None
        for each in imported:
            self.stdout.write(printable(f"{each.name!r}: {TOLD[each.outcome]}."))
        counts = Counter(each.outcome for each in imported)
        if left := counts["differs"] + counts["ambiguous"]:
            raise CommandError(
                f"{left} of {len(imported)} designs differ from what {team.name} has, and were left alone."
            )


def _documents_in(value: Json, name: str) -> list[Json]:
    """The file's designs. Raises `CommandError`."""
    if isinstance(value, dict) and isinstance(designs := value.get("designs"), list):
        return designs
    if isinstance(value, dict) and "blocks" in value:
        return [value]
    raise CommandError(f"""{name} holds no designs. It is what manage.py export wrote, as '{{"designs": […]}}'.""")
