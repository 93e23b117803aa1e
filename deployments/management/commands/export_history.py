"""`export_history > file.ndjson`: the history, an execution a line."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q
from django.utils.dateparse import parse_date, parse_datetime

from access.database_command import DatabaseCommand
from deployments.api.executions import as_shown
from deployments.api.exporting import export_pieces, record_export
from deployments.endpoint_path import InvalidEndpointPath, canonical_endpoint_path
from deployments.models import Deployment, ExecutionLog


class Command(DatabaseCommand):
    """Writes lines on standard output, and how many these were on standard error."""

    help = "Write the history as NDJSON, newest first: what `GET /api/executions/export` answers, of all teams."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--deployment", metavar="PATH", help="An endpoint, or a deployment's id. Default: all.")
        parser.add_argument("--from", dest="since", metavar="TIME", help="ISO 8601, inclusive; without an offset UTC.")
        parser.add_argument("--to", dest="until", metavar="TIME", help="The same, exclusive.")
        parser.add_argument(
            "--with-payloads", action="store_true", help="Input, result and events too; by default they are left out."
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        executions = as_shown(ExecutionLog.objects.all())
        deployment = None if options["deployment"] is None else find_deployment(options["deployment"])
        if deployment is not None:
            executions = executions.filter(deployment=deployment)
        since, until = _read_time("--from", options["since"]), _read_time("--to", options["until"])
        if since is not None and until is not None and since >= until:
            raise CommandError("--from is not before --to: nothing lies between them.")
        if since is not None:
            executions = executions.filter(created_at__gte=since)
        if until is not None:
            executions = executions.filter(created_at__lt=until)
        details = {name: str(options[name]) for name in ("since", "until", "with_payloads") if options[name]}
        record_export("export_history", deployment=deployment, details=details)
        lines = 0
        for piece in export_pieces(executions, with_payloads=options["with_payloads"]):
            lines += piece.count("\n")
            self.stdout.write(piece, ending="")
        self.stderr.write(f"{lines:,} executions exported.", self.style.NOTICE)


def find_deployment(given: str) -> Deployment:
    """The live deployment at a path, or the one of an id, undeployed or not. Raises `CommandError`."""
    try:
        wanted = Q(id=UUID(given))
    except ValueError:
        try:
            wanted = Q(endpoint_path=canonical_endpoint_path(given), deleted_at__isnull=True)
        except InvalidEndpointPath as invalid:
            raise CommandError(str(invalid)) from None
    found: Deployment | None = Deployment.objects.filter(wanted).first()
    if found is None:
        sentence = f"There is no deployment {given!r}. Name its path, or for one that was undeployed its id."
        raise CommandError(sentence)
    return found


def _read_time(option: str, given: str | None) -> dt.datetime | None:
    if given is None:
        return None
    try:
        day = parse_date(given)
        moment = parse_datetime(given) if day is None else dt.datetime.combine(day, dt.time())
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{option} {given!r} is no time. Write it as 2026-03-01 or 2026-03-01T09:00:00Z.")
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
