"""`manage.py prove`: kills what runs executions, and shows that nothing which was accepted is lost."""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestration_site.proving.client import SiteRefused
from orchestration_site.proving.processes import ProcessFailed
from orchestration_site.proving.runner import prove, try_remotely
from orchestration_site.proving.scenarios import SCENARIOS, Scenario
from orchestration_site.proving.servers import ServerFailed, ServerMissing
from orchestration_site.proving.stack import EMBEDDED, TARGETS
from orchestration_site.proving.table import table_of
from orchestration_site.proving.verdict import Verdict

ALL = "all"
DEFAULT_SCENARIO = "worker-killed"
#: What a private system takes over from this one's environment: how it runs executions, and not where.
TAKEN_OVER = (
    "database_pool",
    "max_concurrent_executions",
    "execution_deadline_seconds",
    "execution_max_calls",
    "execution_max_tokens",
    "execution_max_payload_bytes",
    "lease_seconds",
    "heartbeat_seconds",
    "sweep_seconds",
    "redispatch_seconds",
    "drain_seconds",
)


class Command(BaseCommand):
    """Progress goes to standard error, the table to standard output. Exit status 1 when a promise was broken."""

    help = (
        "Start a private system, run executions against a scripted model provider, kill processes and servers at the"
        " worst moment, and judge over REST what became of what was accepted."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--target",
            default=EMBEDDED,
            help=f"{', '.join(TARGETS)} (a private one is started), or the URL of a site. Default: {EMBEDDED}.",
        )
        names = "\n".join(f"{name}: {scenario.shows}" for name, scenario in SCENARIOS.items())
        parser.add_argument(
            "--scenario",
            nargs="+",
            choices=[*SCENARIOS, ALL],
            default=[DEFAULT_SCENARIO],
            help=f"What is tried. {names} Default: {DEFAULT_SCENARIO}.",
        )
        parser.add_argument("--executions", type=int, help="How many; each scenario has a default of its own.")
        parser.add_argument("--kill-every", type=float, metavar="SECONDS", help="The time between two kills.")
        parser.add_argument("--workers", type=int, help="How many worker processes.")
        parser.add_argument("--seed", type=int, help="Repeats the random choices of an earlier run.")
        parser.add_argument("--key", help="With a URL: an API key with the scopes execute, read and manage.")
        parser.add_argument("--model", default="offline:demo", help="With a URL: the model, as account:model.")
        parser.add_argument(
            "--kill-command", metavar="COMMAND", help="With a URL: what is run every --kill-every seconds."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # All that was started is stopped, as by Ctrl-C; which a shell's job in the background is started to ignore.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        seed = random.SystemRandom().randrange(1_000_000) if options["seed"] is None else options["seed"]
        self._say(f"Seed {seed}")
        verdicts: list[Verdict] = []
        try:
            if "://" in options["target"]:
                verdicts.append(self._prove_remotely(seed, options))
            else:
                self._prove(verdicts, seed, options)
        except (ServerMissing, ServerFailed, ProcessFailed, SiteRefused) as reason:
            raise CommandError(str(reason)) from None
        except KeyboardInterrupt:
            self._say("Stopped. Everything that was started has been ended.")
            raise SystemExit(130) from None
        finally:
            if verdicts:
                self.stdout.write(table_of(verdicts))
        if any(verdict.broken for verdict in verdicts):
            raise SystemExit(1)

    def _prove(self, verdicts: list[Verdict], seed: int, options: dict[str, Any]) -> None:
        target = options["target"]
        if target not in TARGETS:
            raise CommandError(f"--target is {', '.join(TARGETS)} or a URL with http:// or https://.")
        chosen = _chosen(options["scenario"], target)
        scenarios = [_adapted(SCENARIOS[name].full(target), options) for name in chosen]
        environment = settings.ENVIRONMENT
        variables = {name: getattr(environment, name) for name in TAKEN_OVER}
        for verdict in prove(target, scenarios, seed=seed, say=self._say, variables=variables):
            verdicts.append(verdict)
            self._say(f"   {'BROKEN' if verdict.broken else 'kept'}: {verdict.scenario}")

    def _prove_remotely(self, seed: int, options: dict[str, Any]) -> Verdict:
        if not options["key"]:
            raise CommandError("A site of your own needs --key, with the scopes execute, read and manage.")
        (name, *more) = options["scenario"]
        if more or name == ALL or not SCENARIOS[name].judges_remote:
            able = ", ".join(name for name, scenario in SCENARIOS.items() if scenario.judges_remote)
            raise CommandError(f"With a URL these can be tried: {able}. The others start and stop servers themselves.")
        return asyncio.run(
            try_remotely(
                _adapted(SCENARIOS[name].full("remote"), options),
                options["target"],
                options["key"],
                model=options["model"],
                kill_command=options["kill_command"],
                seed=seed,
                say=self._say,
            )
        )

    def _say(self, text: str) -> None:
        self.stderr.write(text)
        self.stderr.flush()


def _chosen(names: Sequence[str], target: str) -> list[str]:
    """The scenarios to try, those of that target when all are wanted."""
    if ALL in names:
        return [name for name, scenario in SCENARIOS.items() if target in scenario.targets]
    for name in names:
        if target not in SCENARIOS[name].targets:
            targets = ", ".join(one for one in TARGETS if one in SCENARIOS[name].targets)
            raise CommandError(f"{name} can be tried on {targets}.")
    return list(names)


def _adapted(scenario: Scenario, options: dict[str, Any]) -> Scenario:
    """The scenario with what was said on the command line, as far as it knows of it."""
    known = {field.name for field in fields(scenario)}
    said = {name: options[name] for name in ("executions", "kill_every", "workers") if options[name] is not None}
    return replace(scenario, **{name: value for name, value in said.items() if name in known})
