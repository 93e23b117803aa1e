"""`python -m bench` (or `make bench`): measures everything, prints a table, writes bench/results/latest.json.

Every figure is beside a reference point of the same run. Exit status 1 when a bound is missed.
"""

import argparse
import datetime as dt
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from bench.figures.cancelling import measure_cancelling
from bench.figures.designer import measure_designer
from bench.figures.endpoint import measure_endpoint
from bench.figures.engine import measure_engine
from bench.figures.history import measure_history
from bench.figures.live_text import measure_live_text
from bench.figures.memory import measure_memory
from bench.figures.pages import measure_pages
from bench.figures.retention import measure_retention
from bench.figures.schedules import measure_schedules
from bench.measurement import Measurement, table
from bench.stacks import run_mock_provider
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
RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[[], *FIGURES], help="all, when none is named")
    wanted = parser.parse_args().figures or FIGURES
    measurements: list[Measurement] = []
    with run_postgres() as postgres_url, run_redis() as redis_url, run_mock_provider() as provider_url:
        figures: dict[str, Callable[[], list[Measurement]]] = {
            "engine": lambda: measure_engine(provider_url),
            "endpoint": lambda: measure_endpoint(postgres_url, redis_url, provider_url),
            "memory": lambda: measure_memory(postgres_url, redis_url),
            "pages": lambda: measure_pages(postgres_url, redis_url),
            "designer": measure_designer,
            "schedules": lambda: measure_schedules(postgres_url, redis_url),
            "history": lambda: measure_history(postgres_url, redis_url),
            "retention": lambda: measure_retention(postgres_url, redis_url),
            "live-text": lambda: measure_live_text(postgres_url, redis_url),
            "cancelling": lambda: measure_cancelling(postgres_url, redis_url),
        }
        for name in wanted:
            print(f"Measuring: {name} …", file=sys.stderr, flush=True)
            measurements += figures[name]()
    print(table(measurements))
    _write(measurements)
    return 0 if all(measured.kept for measured in measurements) else 1


def _write(measurements: list[Measurement]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "machine": platform.machine()}
    results = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "measurements": [measured.as_json() for measured in measurements],
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nWritten to {RESULTS.relative_to(Path.cwd())}" if RESULTS.is_relative_to(Path.cwd()) else f"\n{RESULTS}")


if __name__ == "__main__":
    sys.exit(main())
