"""`execute TARGET --input JSON`: starts an execution, and with `--wait` or `--follow` waits for its end."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from deployments.endpoint_path import InvalidEndpointPath, canonical_endpoint_path
from deployments.executions.admission import LimitReached
from deployments.executions.presence import is_anybody_working
from deployments.executions.publisher import publisher
from deployments.executions.start import start_execution
from deployments.input_schemas import input_schema_of
from deployments.management.acting import ActingCommand, find_design, find_live_deployment, find_team
from deployments.management.following import watch
from deployments.management.json_files import read_input
from deployments.models import Deployment, ExecutionLog
from deployments.money import money_text
from deployments.terminal_progress import TerminalProgress
from designs.models import DesignVersion
from designs.versions import freeze_version
from executor.errors import InvalidDesign, sum_up
from executor.json_schema import validate_instance
from executor.json_types import JsonObject
from executor.terminal_text import printable, printable_json

#: How long the broker may take the hint. Without it the workers' sweep finds the execution a little later.
PUBLISH_SECONDS = 5.0


class Command(ActingCommand):
    """The id, or what came of it, on standard output; the rest on standard error. Status 0 with --wait and --follow
    only when it completed.
    """

    help = "Execute a deployment, active or not, or what is saved of a design now."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("target", metavar="TARGET", help="An endpoint's path, or a design's name or id.")
        words = "A JSON object, @FILE for one in a file, - for standard input. Default: {}."
        parser.add_argument("--input", default="{}", metavar="JSON", help=words)
        waits = parser.add_mutually_exclusive_group()
        waits.add_argument("--wait", action="store_true", help="Wait for its end, and print its output.")
        waits.add_argument("--follow", action="store_true", help="The same, and show what happens meanwhile.")
        parser.add_argument("--json", action="store_true", help="Print what the API shows of it, as JSON.")

    def handle(self, *_args: Any, **options: Any) -> None:
        input_data = read_input(options["input"])
        deployment, version = self._find(options["target"], options["team"])
        execution = self._start(deployment, version, input_data)
        # The process may end right away, and its thread that publishes with it.
        publisher.wait_until_sent(PUBLISH_SECONDS)
        self.stderr.write(f"Execution {execution.id} is accepted.", self.style.NOTICE)
        self._warn_without_workers()
        if not (options["wait"] or options["follow"]):
            self.stdout.write(_as_json(execution) if options["json"] else str(execution.id))
            return
        try:
            watch(execution.id, TerminalProgress(self.stderr.write) if options["follow"] else None)
        except KeyboardInterrupt:
            sentence = f"Execution {execution.id} goes on. To end it, type: manage.py cancel {execution.id}"
            raise CommandError(sentence, returncode=130) from None
        self._tell(ExecutionLog.objects.get(id=execution.id), as_json=options["json"])

    def _find(self, target: str, team: str | None) -> tuple[Deployment | None, DesignVersion]:
        if _is_deployed(target):
            deployment = find_live_deployment(target, team=team)
            return deployment, deployment.version
        try:
            design = find_design(target, team=find_team(team))
        except CommandError as unknown:
            raise CommandError(f"Nothing is deployed at {target!r}. {unknown}") from None
        try:
            return None, freeze_version(design=design, created_by=self.by)
        except InvalidDesign as refused:
            raise CommandError(f"{design.name!r} cannot run yet. Mend it first: {refused}") from None

    def _start(self, deployment: Deployment | None, version: DesignVersion, input_data: JsonObject) -> ExecutionLog:
        schema = input_schema_of(version.id)
        if schema is not None and (problems := validate_instance(schema, input_data)):
            raise CommandError(f"The input does not fit the design's input schema: {sum_up(problems)}")
        try:
            return start_execution(
                deployment=deployment,
                version=version,
                team_id=version.design.team_id if deployment is None else deployment.team_id,
                input_data=input_data,
                trigger_type=ExecutionLog.Trigger.MANUAL,
                triggered_by=self.by,
                live_text=True,
            ).execution
        except LimitReached as reached:
            raise CommandError(f"{reached} Try again in {reached.retry_after} s.") from None

    def _warn_without_workers(self) -> None:
        if not is_anybody_working():
            self.stderr.write("No worker is there: it waits for one. What to do, says: manage.py doctor")

    def _tell(self, execution: ExecutionLog, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(_as_json(execution))
        elif execution.status == ExecutionLog.Status.COMPLETED:
            output = execution.result_data["output"]
            text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2)
            self.stdout.write(printable(text))
        if execution.status != ExecutionLog.Status.COMPLETED:
            why = f" ({execution.error_code})" if execution.error_code else ""
            said = f": {printable(execution.error)}" if execution.error else "."
            raise CommandError(f"Execution {execution.id} {execution.status}{why}{said}")


def _is_deployed(target: str) -> bool:
    try:
        return Deployment.objects.by_endpoint(canonical_endpoint_path(target)).exists()
    except InvalidEndpointPath:
        return False


def _as_json(execution: ExecutionLog) -> str:
    shown = {
        "execution_id": str(execution.id),
        "status": execution.status,
        "result": execution.result_data["output"] if execution.status == ExecutionLog.Status.COMPLETED else None,
        "error_code": execution.error_code or None,
        "error": execution.error or None,
        "usage": execution.usage,
        "cost": None if execution.cost is None else money_text(execution.cost),
        "duration_ms": execution.duration_ms,
        "url": f"/api/executions/{execution.id}",
    }
    return printable_json(json.dumps(shown, ensure_ascii=False))
