"""`export [DESIGN …]`: a team's designs as one JSON file, which `import` takes."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from deployments.management.acting import ActingCommand, find_design, find_team
from designs.drafts import export_design
from designs.models import OrchestrationDesign
from executor.terminal_text import printable_json


class Command(ActingCommand):
    """What is saved of each design now. Keys of provider accounts are no part of a design, and stay here."""

    help = "Write designs as a JSON file: those that are named, or all of the team."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("designs", metavar="DESIGN", nargs="*", help="A design's name or id. Default: all.")
        parser.add_argument("--output", metavar="FILE", help="Where to. Default: standard output.")

    def handle(self, *_args: Any, **options: Any) -> None:
        team = find_team(options["team"])
        named: list[str] = options["designs"]
        everything = OrchestrationDesign.objects.live().filter(team=team).order_by("created_at", "id")
        found = list({each.id: each for each in (find_design(name, team=team) for name in named)}.values())
        designs = found if named else list(everything)
        # The records of the audit stay only if the file is there.
        with transaction.atomic():
            documents = [export_design(design=design, by=self.by) for design in designs]
            text = json.dumps({"designs": documents}, ensure_ascii=False, indent=2)
            self._write(printable_json(text), options["output"])
        self.stderr.write(f"{len(documents)} designs of {team.name} exported.", self.style.NOTICE)

    def _write(self, text: str, path: str | None) -> None:
        if path is None:
            self.stdout.write(text)
            return
        try:
            Path(path).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
