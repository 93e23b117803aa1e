"""Our own OpenAPI document against the site that serves it: `python -m orchestration_site.tests.fuzz [--cases 20000]`.

schemathesis makes requests that fit the document and requests that do not, with a key of every scope and without any
credentials, and looks at each answer: its status, media type, headers and schema have to be documented, and none may
be a server error. Exit status 1 when one is not so.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration_site.proving.processes import BIN
from orchestration_site.tests.sites import run_embedded_site

CASES = 5_000
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
#: A run without credentials meets little more than 401s: a part of the cases is enough for that.
SHARE_WITHOUT_KEY = 0.05


@dataclass(frozen=True)
class Plan:
    """What a run makes: schemathesis' phases, and how many cases it draws for each operation."""

    phases: str
    drawn: int


#: The boundaries of every value come first, thousands of cases that cost little; to draw one costs more.
WITH_KEY = Plan("examples,coverage,fuzzing", 3)
WITHOUT_KEY = Plan("fuzzing", 10)


@dataclass(frozen=True)
class Run:
    """What one run of schemathesis found. `errors` are its own, and of requests that were not answered."""

    cases: int
    failures: list[dict[str, Any]]
    errors: list[dict[str, Any]]


def fuzz(*, cases: int, seed: int) -> list[Run]:
    """As many runs as it takes to make that many cases on one new site."""
    with run_embedded_site() as site, ThreadPoolExecutor(2) as threads:
        key = site.make_key("fuzz", scopes=("execute", "read", "manage"))
        without_key = round(cases * SHARE_WITHOUT_KEY)
        with_key = threads.submit(_run_until, site.base_url, key, cases - without_key, seed, WITH_KEY)
        without = threads.submit(_run_until, site.base_url, None, without_key, seed, WITHOUT_KEY)
        return [*with_key.result(), *without.result()]


def _run_until(base_url: str, key: str | None, cases: int, seed: int, plan: Plan) -> list[Run]:
    runs: list[Run] = []
    while sum(run.cases for run in runs) < cases:
        runs.append(_run(base_url, key, seed + len(runs), plan))
        if not runs[-1].cases:
            raise RuntimeError(f"No request was made at all: {runs[-1].errors}")
    return runs


def _run(base_url: str, key: str | None, seed: int, plan: Plan) -> Run:
    with tempfile.TemporaryDirectory(prefix="orchestration-fuzz-") as name:
        report = Path(name) / "report.json"
        command = [
            *(str(BIN / "schemathesis"), "run", f"{base_url}/api/schema"),
            *(f"--header=Authorization: Bearer {key}" for _ in range(1) if key),
            *("--checks", ",".join(CHECKS), "--phases", plan.phases, "--max-examples", str(plan.drawn)),
            *("--seed", str(seed), "--no-shrink", "--continue-on-failure"),
            # One: its library counts Python's recursion over all threads, and trips over two.
            *("--workers", "1", "--warnings", "off", "--report", "json", "--report-json-path", str(report)),
        ]
        done = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
        if not report.exists():
            raise RuntimeError(f"schemathesis ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        found = json.loads(report.read_text())
    return Run(found["test_cases"]["generated"], found["failures"], found["errors"])


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m orchestration_site.tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=CASES, help=f"How many at least; default: {CASES}.")
    parser.add_argument("--seed", type=int, help="Repeats an earlier run.")
    given = parser.parse_args(words)
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    write(f"Seed {seed}")
    runs = fuzz(cases=given.cases, seed=seed)
    wrong = [found for run in runs for found in (*run.failures, *run.errors)]
    for found in wrong:
        write(json.dumps(found, indent=2)[:3_000])
    write(f"{sum(run.cases for run in runs):,} cases in {len(runs)} runs: {len(wrong)} that should not be")
    return 1 if wrong else 0


def write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
