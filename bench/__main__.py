"""`python -m bench` (or `make bench`): measures everything, prints a table, writes bench/results/latest.json.

Every figure is beside a reference point of the same run. Exit status 1 when a bound is missed. With `--site` the
figures endpoint, memory and soak are those of a system that runs already; `soak` takes half an hour, and is measured
when it is named.
"""

import argparse
import datetime as dt
import json
import os
import platform
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from bench.figures.cancelling import measure_cancelling
from bench.figures.designer import measure_designer
from bench.figures.endpoint import measure_endpoint
from bench.figures.engine import measure_engine
from bench.figures.history import measure_history
from bench.figures.live_text import measure_live_text
from bench.figures.memory import measure_memory, measure_memory_of
from bench.figures.pages import measure_pages
from bench.figures.retention import measure_retention
from bench.figures.schedules import measure_schedules
from bench.figures.soak import measure_soak
from bench.measurement import Measurement, table
from bench.stacks import Ours, run_mock_provider
from orchestration_site.proving.servers import run_postgres, run_redis

FIGURES = (
    "engine",
    "endpoint",
    "memory",
    "pages",
    "designer",
    "history",
    "live-text",
    "cancelling",
    "schedules",
    "retention",
)
#: What is measured only when it is named.
NAMED = ("soak",)
#: What can be measured of a system that runs already.
OF_RUNNING = ("endpoint", "memory", *NAMED)
RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    options = _read_options()
    running = Ours.running(options.site, options.key, options.database, options.processes) if options.site else None
    wanted = options.figures or (OF_RUNNING[:-1] if running else FIGURES)
    measurements: list[Measurement] = []
    with run_postgres() as postgres_url, run_redis() as redis_url, _provider(options.provider) as provider_url:
        figures: dict[str, Callable[[], list[Measurement]]] = {
            "engine": lambda: measure_engine(provider_url),
            "endpoint": lambda: measure_endpoint(postgres_url, redis_url, provider_url, running),
            "memory": lambda: measure_memory_of(running) if running else measure_memory(postgres_url, redis_url),
            "pages": lambda: measure_pages(postgres_url, redis_url),
            "designer": measure_designer,
            "schedules": lambda: measure_schedules(postgres_url, redis_url),
            "history": lambda: measure_history(postgres_url, redis_url),
            "retention": lambda: measure_retention(postgres_url, redis_url),
            "live-text": lambda: measure_live_text(postgres_url, redis_url),
            "cancelling": lambda: measure_cancelling(postgres_url, redis_url),
            "soak": lambda: measure_soak(postgres_url, redis_url, provider_url, running, minutes=options.minutes),
        }
        for name in wanted:
            print(f"Measuring: {name} …", file=sys.stderr, flush=True)
            measurements += figures[name]()
            _write(measurements)
    print(table(measurements))
    print(f"\nWritten to {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    return 0 if all(measured.kept for measured in measurements) else 1


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[[], *FIGURES, *NAMED], help="all but soak, when none is named")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the soak lasts (30)")
    running = parser.add_argument_group("a system that runs already")
    running.add_argument("--site", metavar="URL", help="where it is called")
    running.add_argument("--key", help="an API key with the scopes execute, read and manage")
    running.add_argument("--provider", metavar="URL", help="the mock provider that its OPENAI_BASE_URL names")
    running.add_argument("--processes", type=Path, metavar="FILE", help="a line for each process: its id and its name")
    running.add_argument("--database", metavar="URL", help="its PostgreSQL database")
    options = parser.parse_args()
    if options.site and not (options.key and options.provider and options.processes and options.database):
        parser.error("--site needs --key, --provider, --processes and --database as well.")
    if options.site and not set(options.figures) <= set(OF_RUNNING):
        parser.error(f"Of a system that runs already these are measured: {', '.join(OF_RUNNING)}.")
    return options


def _provider(url: str | None) -> AbstractContextManager[str]:
    return nullcontext(url) if url else run_mock_provider()


def _write(measurements: list[Measurement]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "machine": platform.machine()}
    results = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "measurements": [measured.as_json() for measured in measurements],
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
