"""`cancel EXECUTION`: ends an execution that has not ended."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from deployments.executions.lifecycle import request_cancel
from deployments.management.acting import ActingCommand, find_team, read_id
from deployments.models import ExecutionLog


class Command(ActingCommand):
    """A queued execution ends at once; the worker of a running one is asked to end it."""

    help = "Cancel an execution."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("execution", metavar="EXECUTION", help="The execution's id.")

    def handle(self, *_args: Any, **options: Any) -> None:
        execution = find_execution(options["execution"], team=options["team"])
        outcome = request_cancel(execution_id=execution.id, by=self.by)
        if outcome == "ended":
            status = ExecutionLog.objects.values_list("status", flat=True).get(id=execution.id)
            raise CommandError(f"Execution {execution.id} has ended already: {status}. There is nothing to cancel.")
        told = "is cancelled" if outcome == "cancelled" else "runs; its worker was asked to end it"
        self.stdout.write(f"Execution {execution.id} {told}.")


def find_execution(given: str, *, team: str | None) -> ExecutionLog:
    """The execution of that id. Raises `CommandError`."""
    identity = read_id(given)
    if identity is None:
        raise CommandError(f"{given!r} is no execution's id. The history shows them, and manage.py execute says them.")
    rows = ExecutionLog.objects.only("id") if team is None else ExecutionLog.objects.filter(team=find_team(team))
    found: ExecutionLog | None = rows.filter(id=identity).first()
    if found is None:
        whose = "There is" if team is None else f"The team {team} has"
        raise CommandError(f"{whose} no execution {identity}. Look it up in the history.")
    return found
