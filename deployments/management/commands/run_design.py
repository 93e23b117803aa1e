"""`run_design FILE --input FILE [--follow]`: runs a design from the terminal, without a database."""

import asyncio
import json
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from deployments.api.example_inputs import example_input
from deployments.terminal_progress import TerminalProgress
from designs.providers import models_from_environment
from executor.document import parse_design
from executor.errors import InvalidDesign, InvalidInput, MalformedDesign
from executor.json_types import JsonObject
from executor.results import ExecutionResult
from executor.run import run_design
from executor.spec import Design
from executor.terminal_text import printable, printable_json


class Command(BaseCommand):
    """The result goes to standard output as JSON; progress and errors to standard error. Status 1 on failure."""

    help = "Run a design on the models that the environment names. Nothing is stored."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="A design, or a sample with its design and inputs.")
        parser.add_argument(
            "--input", metavar="FILE", help="The input as a JSON object, - for standard input. Default: the sample's."
        )
        parser.add_argument("--follow", action="store_true", help="Show what happens while it happens.")

    def handle(self, *args: Any, **options: Any) -> None:
        sample = _read_object(options["file"])
        document = sample["design"] if isinstance(sample.get("design"), dict) else sample
        try:
            design = parse_design(document)
            result = self._run(design, _choose_input(options["input"], sample, design), follow=options["follow"])
        except (MalformedDesign, InvalidDesign) as refused:
            raise CommandError(f"{options['file']} cannot run:\n{_listed(refused.problems)}") from None
        except InvalidInput as refused:
            raise CommandError(
                f"The input does not fit the design's input schema:\n{_listed(refused.problems)}"
            ) from None
        if result.failure is not None:
            failure = result.failure
            place = f" in block {failure.block_id}" if failure.block_id else ""
            raise CommandError(f"The run failed{place} ({failure.code}): {printable(failure.message)}")
        self.stdout.write(printable_json(json.dumps(result.result_data(), ensure_ascii=False, indent=2)))

    def _run(self, design: Design, input_data: JsonObject, *, follow: bool) -> ExecutionResult:
        progress = TerminalProgress(self.stderr.write) if follow else None
        return asyncio.run(_run_design(design, input_data, progress))


async def _run_design(design: Design, input_data: JsonObject, progress: TerminalProgress | None) -> ExecutionResult:
    async with aclosing(models_from_environment()) as models:
        return await run_design(
            design,
            input_data,
            models=models,
            on_event=progress.show_event if progress else None,
            on_delta=progress.show_delta if progress else None,
        )


def _choose_input(path: str | None, sample: JsonObject, design: Design) -> JsonObject:
    if path is not None:
        return _read_object(path)
    inputs = sample.get("inputs")
    if isinstance(inputs, list) and inputs and isinstance(inputs[0], dict):
        return inputs[0]
    return example_input(design.input_schema)


def _read_object(path: str) -> JsonObject:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
        value = json.loads(text)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise CommandError(f"{path} has to hold a JSON object.")
    return value


def _listed(problems: Any) -> str:
    return printable("\n".join(f"  {problem.pointer or '/'}: {problem.message}" for problem in problems))
