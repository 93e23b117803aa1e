"""A million executions on PostgreSQL: the history, the claim and the sweeps, and writes while 100,000 are removed."""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from bench.figures.history import addresses, slowest
from bench.history_rows import PASSWORD
from bench.measurement import Measurement
from bench.visits import signed_in
from orchestration_site.environment import BASE_DIR
from orchestration_site.tests.sites import Site, run_distributed_site

EXECUTIONS = 1_000_000
REMOVED = 100_000
#: All of them are of the last 30 days, evenly: so old are those that go.
DAYS = 27
PAGE_MS, BLOCKED_MS, SWEEP_MS = 200, 1_000, 10
VISITS = 15
SIZE = """SELECT sum(pg_total_relation_size(name)) / 1048576
    FROM unnest(ARRAY['deployments_executionlog', 'deployments_executionevent']::regclass[]) AS name"""
KEEP = "UPDATE deployments_deployment SET keep_{what}_days = %s"


def measure_retention(postgres_url: str, redis_url: str) -> list[Measurement]:
    """What is bounded, and how long it takes to remove the payloads and then the rows."""
    with run_distributed_site(postgres_url, redis_url) as site:
        site.run_manage("load_samples")
        _run(site, "bench.retention_rows", "fill", str(EXECUTIONS), str(REMOVED))
        measurements = [*_history(site), *_sweeps(site, "nothing to remove")]
        for what in ("payload", "history"):
            with psycopg.connect(site.env["DATABASE_URL"], autocommit=True) as database:
                database.execute(KEEP.format(what=what), [DAYS])
            measurements += _remove(site, what)
        return [*measurements, *_sweeps(site, "after it")]


def _history(site: Site) -> list[Measurement]:
    measurements = []
    for name, password in (("admin", site.admin_password), ("member", PASSWORD)):
        with signed_in(site, name, password) as client:
            kinds = addresses(client)
            for kind in ("first page", "deep page"):
                title = f"history at {EXECUTIONS:,} executions, PostgreSQL, {name}: {kind}, slowest p95"
                measurements.append(slowest(client, title, kinds[kind], visits=VISITS, bound_ms=PAGE_MS))
    return measurements


def _sweeps(site: Site, when: str) -> list[Measurement]:
    seen = json.loads(_run(site, "bench.retention_rows", "time"))
    return [
        Measurement(
            f"{name} at {EXECUTIONS:,} executions, {when}, p95", p95, "ms", SWEEP_MS, details={"median": median}
        )
        for name, (p95, median) in seen.items()
    ]


def _remove(site: Site, what: str) -> list[Measurement]:
    """`retain`, while somebody writes all the time."""
    began, size = time.perf_counter(), _megabytes(site)
    with _written_to(site.env["DATABASE_URL"]) as writes, _retaining(site) as retaining:
        sweeps = _sweeps(site, f"while retention removes {what}") if what == "history" else []
        said = retaining.communicate()[0]
    seconds = time.perf_counter() - began
    details = {
        "median write": statistics.median(writes.taken) * 1000,
        "writes": float(len(writes.taken)),
        "seconds of retention": seconds,
        "executions a second": REMOVED / seconds,
        "MB before": size,
        "MB after": _megabytes(site),
    }
    print(f"retain ({what}): {said.strip()}", file=sys.stderr)
    title = f"the slowest write while retention removes {what} of {REMOVED:,}"
    return [Measurement(title, max(writes.taken) * 1000, "ms", BLOCKED_MS, details=details), *sweeps]


def _megabytes(site: Site) -> float:
    with psycopg.connect(site.env["DATABASE_URL"]) as database:
        row = database.execute(SIZE).fetchone()
        assert row is not None
        return float(row[0])


@dataclass
class _Writes:
    taken: list[float] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def go_on(self, url: str) -> None:
        """Accept an execution and end it, again and again; each commit is timed."""
        with psycopg.connect(url, autocommit=True) as database:
            database.execute("CREATE TEMP TABLE one AS SELECT * FROM deployments_executionlog LIMIT 1")
            while not self.is_over.wait(0.02):
                began = time.perf_counter()
                database.execute("UPDATE one SET id = gen_random_uuid(), created_at = now(), schedule_id = NULL")
                database.execute("INSERT INTO deployments_executionlog SELECT * FROM one")
                database.execute("UPDATE deployments_executionlog SET seq = seq + 1 WHERE id = (SELECT id FROM one)")
                database.execute(
                    "UPDATE deployments_deployment SET execution_count = execution_count + 1"
                    " WHERE id = (SELECT deployment_id FROM one)"
                )
                self.taken.append(time.perf_counter() - began)


@contextmanager
def _written_to(url: str) -> Iterator[_Writes]:
    writes = _Writes()
    writing = threading.Thread(target=writes.go_on, args=(url,))
    writing.start()
    try:
        yield writes
    finally:
        writes.is_over.set()
        writing.join()


@contextmanager
def _retaining(site: Site) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "manage.py", "retain"]
    process = subprocess.Popen(command, env=dict(site.env), cwd=BASE_DIR, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own words
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _run(site: Site, module: str, *words: str) -> str:
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, env=dict(site.env), cwd=BASE_DIR, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own words
