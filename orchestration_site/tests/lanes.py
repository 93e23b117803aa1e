"""The lanes of `make test`: what runs, in which order, in how much time. `make test LANES="static engine"` runs some.

A lane fails when one of its commands does, and `make test` with it. A lane whose server is missing is reported as not
run, never as passed.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.rabbitmq import find_rabbitmq
from orchestration_site.proving.servers import (
    ServerMissing,
    create_database,
    find_postgres,
    find_redis,
    run_postgres,
)
from orchestration_site.tests.advisories import advisories_of_npm, advisories_of_python
from orchestration_site.tests.browser import find_chromium
from orchestration_site.tests.previous_release import find_previous_release
from orchestration_site.tests.sites import put_tables_in_template

Command = tuple[str, ...]
Say = Callable[..., None]
BIN = Path(sys.executable).parent
#: The database goes with its folder or its server; dropping it before would wait for connections of worker threads.
ON_DATABASE = ("--reuse-db",)
TWO_AT_ONCE = ("-n", "2", "--dist", "loadfile")
#: Where the fixtures last for the session anyway, neither core waits at the end for the other's file.
AS_EITHER_IS_FREE = ("-n", "2", "--dist", "worksteal")
#: By itself xdist ends with the files of the fewest tests, and these are the longest: one core would wait.
AS_NAMED = (*TWO_AT_ONCE, "--no-loadscope-reorder")
#: A lane that takes so many times its budget hangs, and is ended.
PATIENCE = 3
SECONDS_TO_CLEAN_UP = 30
CLOSING_LINE = re.compile(r"=* ?((?:\d+ \w+(?:, )?)+ in [\d.]+s.*?) ?=*$")
PASSED = re.compile(r"(\d+) passed")
#: The commands that run, which are in sessions of their own, and whether no other is to start.
RUNNING: set["subprocess.Popen[str]"] = set()
INTERRUPTED = threading.Event()


def write(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def run_tool(*words: str) -> Command:
    return (str(BIN / words[0]), *words[1:])


def run_pytest(*words: str) -> Command:
    return (sys.executable, "-m", "pytest", "-q", "-o", "faulthandler_timeout=240", *words)


def run_manage(*words: str) -> Command:
    return (sys.executable, "manage.py", *words)


def check_templates() -> tuple[Command, ...]:
    found = sorted(str(path.relative_to(BASE_DIR)) for path in BASE_DIR.glob("**/templates/**/*.html"))
    ours = [path for path in found if not path.startswith((".venv/", "node_modules/"))]
    return (run_tool("djade", "--check", "--target-version", "5.2", *ours),) if ours else ()


@contextlib.contextmanager
def no_servers() -> Iterator[Mapping[str, str]]:
    yield {}


@contextlib.contextmanager
def distributed_servers() -> Iterator[Mapping[str, str]]:
    """PostgreSQL for the tests within the process as well as for the site's processes. Raises `ServerMissing`."""
    find_redis()
    with run_postgres() as url:
        put_tables_in_template(url)
        yield {"TEST_POSTGRES_URL": url, "DATABASE_URL": create_database(url, "lane")}


@contextlib.contextmanager
def killed_servers() -> Iterator[Mapping[str, str]]:
    """Tests of durability start servers of their own, to kill them. Raises `ServerMissing`."""
    find_postgres()
    find_redis()
    yield {}


@contextlib.contextmanager
def killed_rabbitmq() -> Iterator[Mapping[str, str]]:
    """The same, where the machine has a RabbitMQ. Raises `ServerMissing`."""
    find_rabbitmq()
    with killed_servers():
        yield {}


@contextlib.contextmanager
def previous_release() -> Iterator[Mapping[str, str]]:
    """Raises `ServerMissing` where the history does not go back to the release before."""
    find_previous_release()
    with killed_servers():
        yield {}


@contextlib.contextmanager
def browser_found() -> Iterator[Mapping[str, str]]:
    """Raises `ServerMissing` where there is no browser, and none may be installed."""
    find_chromium()
    yield {}


@dataclass(frozen=True)
class Lane:
    """Commands that run in `parallel` at a time; `servers` gives the variables that they need, while they run.

    `aside` is what runs beside the lanes that are not. A budget is for the two together.
    """

    name: str
    budget_seconds: int
    commands: tuple[Command, ...]
    parallel: int = 1
    servers: Callable[[], contextlib.AbstractContextManager[Mapping[str, str]]] = no_servers
    aside: bool = False


@dataclass(frozen=True)
class Outcome:
    lane: Lane
    result: str
    seconds: float
    tests: int = 0


APPS = ("access", "rest", "designs", "deployments", "orchestration_site")
#: Tests of the source and the documents, which need no database: they run once, in the static lane.
RULES = tuple(
    f"orchestration_site/tests/test_{name}.py"
    for name in (
        *("rules", "documents", "original_map", "guarantees", "security_document", "install", "build_pages"),
        *("environment", "compose", "advisories", "lanes"),
    )
)
ON_RABBITMQ = "orchestration_site/proving/tests/test_rabbitmq.py"
OF_UPGRADES = "orchestration_site/proving/tests/test_upgrade.py"
#: What kills processes, the longest first: they begin at once, and to look through all other tests takes long, too.
DURABLE = (
    "orchestration_site/proving/tests/test_workers.py",
    "orchestration_site/proving/tests/test_embedded.py",
    "orchestration_site/tests/crashes/test_crash_points.py",
    "orchestration_site/proving/tests/test_servers.py",
    "orchestration_site/proving/tests/test_command.py",
    "deployments/tests/test_site_stopped.py",
    "deployments/tests/test_viewers.py",
    "orchestration_site/proving/tests/test_schedules.py",
    "deployments/tests/test_database_lost.py",
)
#: What touches no database runs once.
ON_SQLITE = "not distributed and not durability and not browser"
ON_POSTGRES = "not embedded and not either_database and not durability and not browser and not without_database"
#: Of what is locked, just as it is locked. `--strict`: a package that cannot be looked up is no package without faults.
PIP_AUDIT = run_tool(
    *("pip-audit", "--strict", "--disable-pip", "--require-hashes", "--progress-spinner", "off"),
    *("-r", "requirements-dev.txt", "-r", "requirements-node.txt"),
)
NO_RULES = tuple(f"--ignore={path}" for path in RULES)

LANES = (
    Lane(
        "static",
        60,
        (
            run_tool("mypy", "."),
            run_tool("ruff", "check", "."),
            run_tool("ruff", "format", "--check", "."),
            run_tool("lint-imports"),
            run_tool("hadolint", "Dockerfile"),
            run_tool("bandit", "-q", "-c", "pyproject.toml", "-r", *APPS, "executor"),
            ("npm", "--prefix", "frontend", "run", "--silent", "check"),
            *check_templates(),
            run_manage("makemigrations", "--check", "--dry-run"),
            run_pytest(*RULES),
        ),
        parallel=2,
    ),
    Lane("engine", 90, (run_pytest(*TWO_AT_ONCE, "executor", "bench"),), aside=True),
    Lane(
        "api-embedded",
        440,
        (run_pytest(*AS_NAMED, *ON_DATABASE, "-m", ON_SQLITE, *NO_RULES, *APPS),),
    ),
    Lane(
        "api-distributed",
        270,
        (run_pytest(*AS_NAMED, *ON_DATABASE, "-m", ON_POSTGRES, *NO_RULES, *APPS),),
        servers=distributed_servers,
    ),
    Lane(
        "durability",
        560,
        (run_pytest(*AS_NAMED, "-m", "durability", *DURABLE),),
        servers=killed_servers,
        aside=True,
    ),
    Lane(
        "durability-rabbitmq",
        120,
        (run_pytest("-m", "durability", ON_RABBITMQ),),
        servers=killed_rabbitmq,
        aside=True,
    ),
    Lane("upgrade", 60, (run_pytest("-m", "durability", OF_UPGRADES),), servers=previous_release, aside=True),
    Lane("browser", 150, (run_pytest(*AS_EITHER_IS_FREE, "-m", "browser", *NO_RULES, *APPS),), servers=browser_found),
    Lane("security", 90, ((sys.executable, "-m", "orchestration_site.tests.fuzz"),)),
    Lane("advisories-python", 60, (PIP_AUDIT,), servers=advisories_of_python),
    Lane(
        "advisories-npm",
        30,
        (("npm", "--prefix", "frontend", "audit", "--package-lock-only"),),
        servers=advisories_of_npm,
    ),
)


def main(names: Sequence[str]) -> int:
    unknown = set(names) - {lane.name for lane in LANES}
    if unknown:
        sys.stderr.write(f"No such lane: {', '.join(unknown)}. There are: {', '.join(lane.name for lane in LANES)}\n")
        return 2
    signal.signal(signal.SIGINT, interrupt)
    began = time.monotonic()
    outcomes = run_lanes([lane for lane in LANES if not names or lane.name in names])
    write("", *table_of(outcomes, seconds=time.monotonic() - began), "")
    if INTERRUPTED.is_set():
        return 130
    return 1 if any(outcome.result.startswith("FAILED") for outcome in outcomes) else 0


def interrupt(*_: object) -> None:
    """End what runs, and start nothing more: the threads that wait for it then end by themselves."""
    INTERRUPTED.set()
    for running in list(RUNNING):
        threading.Thread(target=end_group, args=[running]).start()


def run_lanes(lanes: Sequence[Lane]) -> list[Outcome]:
    """How each ended, in their order. What runs aside does so one lane after the other, and so do the others."""
    here = [lane for lane in lanes if not lane.aside] or lanes
    with ThreadPoolExecutor(1) as beside:
        aside = [beside.submit(run_aside, lane) for lane in lanes if lane not in here]
        outcomes = [run_lane(lane) for lane in here]
        outcomes += [ended.result() for ended in aside]
    return sorted(outcomes, key=lambda outcome: lanes.index(outcome.lane))


def run_aside(lane: Lane) -> Outcome:
    write(f"── {lane.name} runs aside from now on")
    lines: list[str] = []
    try:
        return run_lane(lane, lambda *more: lines.extend(more))
    finally:
        write(*lines)


def run_lane(lane: Lane, say: Say = write) -> Outcome:
    """Run it, and `say` what its commands say. What cannot be run is an outcome, too."""
    say("", f"── {lane.name} (budget {lane.budget_seconds} s)")
    began = time.monotonic()
    try:
        with lane.servers() as variables:
            ended = run_commands(lane, os.environ | variables, say)
    except ServerMissing as missing:
        say(f"!!! {lane.name} NOT RUN: {missing}")
        return Outcome(lane, f"NOT RUN: {missing}", time.monotonic() - began)
    seconds = time.monotonic() - began
    failed = [command for command, status, _ in ended if status]
    tests = sum(tests for _, _, tests in ended)
    if failed:
        return Outcome(lane, f"FAILED: {'; '.join(words_of(command) for command in failed)}", seconds, tests)
    return Outcome(lane, "passed" if seconds <= lane.budget_seconds else "passed, over its budget", seconds, tests)


def run_commands(lane: Lane, env: Mapping[str, str], say: Say) -> list[tuple[Command, int, int]]:
    """Each command with its exit status and the number of tests that passed."""

    def run(command: Command) -> tuple[Command, int, int]:
        limit, at_once = lane.budget_seconds * PATIENCE, lane.parallel == 1
        status, tests = run_command(command, env, limit=limit, say=say, at_once=at_once)
        return command, status, tests

    with ThreadPoolExecutor(lane.parallel) as threads:
        return list(threads.map(run, lane.commands))


def run_command(command: Command, env: Mapping[str, str], *, limit: float, say: Say, at_once: bool) -> tuple[int, int]:
    """Run it, and say what it says: at once, or when it has ended so that two do not mix."""
    if INTERRUPTED.is_set():
        return 130, 0
    began = time.monotonic()
    running = subprocess.Popen(  # noqa: S603 - our own words
        command, cwd=BASE_DIR, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    RUNNING.add(running)
    if INTERRUPTED.is_set():  # since it was asked: whoever interrupted may not have seen this one
        end_group(running)
    hang = threading.Timer(limit, end_group, [running])
    hang.start()
    lines: list[str] = []
    try:
        for line in running.stdout or ():
            lines.append(line.rstrip("\n"))
            if at_once:
                say(lines[-1])
        status = running.wait()
    except BaseException:
        end_group(running)
        raise
    finally:
        hang.cancel()
        RUNNING.discard(running)
    verdict = "ok" if status == 0 else f"FAILED with {status}"
    say(*([] if at_once else lines), f"   {words_of(command)}: {verdict}, {time.monotonic() - began:.0f} s")
    return status, passed_tests(lines)


def passed_tests(lines: Sequence[str]) -> int:
    """The number in pytest's closing line."""
    closing = next((line for line in reversed(lines) if CLOSING_LINE.search(line)), "")
    found = PASSED.search(closing)
    return int(found.group(1)) if found else 0


def end_group(running: subprocess.Popen[str]) -> None:
    """End a command with everything that it started: asked first, so that tests can stop their servers."""
    try:
        os.killpg(running.pid, signal.SIGINT)
        running.wait(SECONDS_TO_CLEAN_UP)
    except ProcessLookupError:
        return
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)


def table_of(outcomes: Sequence[Outcome], *, seconds: float) -> list[str]:
    rows = [f"{'lane':<20}{'seconds':>8}{'tests':>8}  result"]
    rows += [f"{o.lane.name:<20}{o.seconds:>8.0f}{o.tests:>8}  {o.result}" for o in outcomes]
    tests = sum(o.tests for o in outcomes)
    bad = [o for o in outcomes if not o.result.startswith("passed")]
    verdict = "every lane passed" if not bad else ", ".join(f"{o.lane.name} {o.result.split(':')[0]}" for o in bad)
    return [*rows, f"{'in all':<20}{seconds:>8.0f}{tests:>8}  {verdict}"]


def words_of(command: Command) -> str:
    words = " ".join(Path(word).name if word.startswith("/") else word for word in command)
    return textwrap.shorten(words, 160, placeholder=" …")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
