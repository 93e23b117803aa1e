"""`workers`: who is alive, what each runs, how late it is; `--drain` and `--resume` one of them, or all."""

from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from access.database_command import DatabaseCommand
from deployments.executions.presence import known_workers, rest_worker, resume_worker
from deployments.models import WorkerProcess
from deployments.models.worker import WorkerState

EVERY = "all"
#: As who the audit names.
OPERATOR = "workers"


class Command(DatabaseCommand):
    """A drained worker takes no executions and finishes those that it has; it stays alive, and can be resumed."""

    help = "List the workers of the last day, or have some take no executions for a while."

    def add_arguments(self, parser: CommandParser) -> None:
        asked = parser.add_mutually_exclusive_group()
        named = "The worker's name or how it begins, its host for one; or: all."
        asked.add_argument("--drain", metavar="NAME", help=named)
        asked.add_argument("--resume", metavar="NAME", help=named)

    def handle(self, *_args: Any, drain: str | None = None, resume: str | None = None, **_options: Any) -> None:
        if drain is not None:
            asked = [each for each in _named(drain) if rest_worker(worker=each, by=OPERATOR)]
            self.stdout.write(f"{len(asked)} asked to drain. They hear of it with their next heartbeat.")
        elif resume is not None:
            asked = [each for each in _named(resume) if resume_worker(worker=each, by=OPERATOR)]
            self.stdout.write(f"{len(asked)} asked to take executions again.")
        else:
            self._list(known_workers())

    def _list(self, workers: Sequence[tuple[WorkerProcess, WorkerState]]) -> None:
        if not workers:
            self.stdout.write("No worker has been seen for a day. Start one: make worker, or make run.")
            return
        lines = [("name", "state", "runs", "lag", "memory", "release", "last seen")]
        lines += [
            (
                each.owner,
                state,
                f"{each.running} of {each.capacity}",
                f"{each.loop_lag_ms} ms",
                f"{each.memory_mb} MB",
                each.release,
                f"{each.seen_at:%Y-%m-%d %H:%M:%S} UTC",
            )
            for each, state in workers
        ]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        for line in lines:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _named(name: str) -> list[WorkerProcess]:
    """Those that are there. Raises `CommandError` when there is none of that name."""
    alive = [each for each, state in known_workers() if state not in ("lost", "stopped")]
    found = [each for each in alive if name == EVERY or each.owner.startswith(name)]
    if not found:
        names = ", ".join(each.owner for each in alive) or "none"
        raise CommandError(f"No worker that is there has a name that begins with {name!r}. There are: {names}.")
    return found
