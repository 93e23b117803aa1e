"""`manage.py doctor`: what is wrong with this installation, and how to mend it."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from orchestration_site.doctor.checks import CHECKS
from orchestration_site.doctor.findings import Finding, examine


class Command(BaseCommand):
    """A line for each part: ok, warning or fails, with what to do below it. Status 1 when something fails."""

    help = "Checks database, broker, channel layer, workers, beat, clocks, disk, keys and settings."
    requires_system_checks = []  # it makes those that matter itself, and goes on where one fails

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print an object with what each check found.")

    def handle(self, *_args: Any, **options: Any) -> None:
        found: dict[str, Finding] = {}
        for name, finding in examine(CHECKS):
            found[name] = finding
            if not options["json"]:
                self._show(name, finding)
        failed = [name for name, finding in found.items() if finding.state == "fails"]
        if options["json"]:
            checks = {name: {"state": each.state, "told": each.told, "mend": each.mend} for name, each in found.items()}
            self.stdout.write(json.dumps({"ok": not failed, "checks": checks}, ensure_ascii=False, indent=2))
        if failed:
            sys.exit(1)

    def _show(self, name: str, finding: Finding) -> None:
        style = {"ok": self.style.SUCCESS, "warning": self.style.WARNING, "fails": self.style.ERROR}[finding.state]
        self.stdout.write(f"{style(finding.state.ljust(8))} {name.ljust(18)} {finding.told}")
        if finding.mend:
            self.stdout.write(f"{' ' * 28}{finding.mend}")
