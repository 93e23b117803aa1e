"""`retain`: does at once what the workers' sweeps do by and by; `retain --dry-run` says what that would be."""

import time
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from access.database_command import DatabaseCommand
from deployments.models import Deployment
from deployments.retention.cutoffs import Scope
from deployments.retention.preview import count_removable
from deployments.retention.removing import Step, Walk
from deployments.retention.sweep import RetentionSweep, scopes_in_force

#: How often progress is told.
TOLD_SECONDS = 2.0


class Command(DatabaseCommand):
    """Goes on until all is done; interrupted, it leaves nothing half done, and the next one goes on."""

    help = "Remove from the history what is beyond the periods that are set, in small batches."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say what would go, and remove nothing.")

    def handle(self, *_args: Any, dry_run: bool = False, **_options: Any) -> None:
        if not scopes_in_force():
            self.stdout.write(
                "Everything is kept for ever. Set KEEP_PAYLOAD_DAYS, KEEP_HISTORY_DAYS and their like, or periods of"
                " single deployments (Configure, or PATCH /api/deployments/{id})."
            )
        elif dry_run:
            self._tell_what_would_go()
        else:
            self._remove()

    def _tell_what_would_go(self) -> None:
        for scope in scopes_in_force():
            found = count_removable(scope, now=timezone.now())
            words = "at least " if found.is_at_least else ""
            self.stdout.write(
                f"{_name_of(scope)}: {words}{found.executions:,} executions would go whole, and of"
                f" {found.payloads:,} others input, result and events."
            )

    def _remove(self) -> None:
        removed = {"payloads": 0, "executions": 0}
        told_at = time.monotonic()

        def tell(walk: Walk, step: Step) -> None:
            nonlocal told_at
            removed[walk.what] += step.removed
            if time.monotonic() - told_at >= TOLD_SECONDS:
                told_at = time.monotonic()
                self.stderr.write(f"{_name_of(walk.scope)}: {_told(removed)} so far …")

        RetentionSweep().run(seconds=float("inf"), progress=tell)
        self.stdout.write(f"{_told(removed)} removed.")


def _told(removed: dict[str, int]) -> str:
    return f"{removed['executions']:,} executions and {removed['payloads']:,} payloads"


def _name_of(scope: Scope) -> str:
    if scope.deployment_id is None:
        return "Runs of drafts"
    return str(Deployment.objects.only("endpoint_path").get(id=scope.deployment_id))
