"""Half of full load for half an hour: whether memory, connections and the lateness of schedules stay what they were."""

import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import psycopg

from bench.figures.memory import resident_mb
from bench.load import Seen, Target, call, offer
from bench.measurement import Measurement, percentile
from bench.stacks import Ours, run_ours

WARM_UP_CALLS = 400
FULL_CALLS = 3_000
CALLERS = 16
SCHEDULES = 10
EVERY_SECONDS = 5
SAMPLE_SECONDS = 5.0
#: What was accepted last has then had seconds to end.
SETTLE_SECONDS = 7.0
#: What is compared: these parts of the time. Before the first, pools fill and code is compiled.
EARLY, LATE = (0.10, 0.30), (0.80, 1.0)
GROWTH_PERCENT = 5
#: Lateness is some tens of milliseconds, which one core that is busy for a moment doubles.
LATENESS_SECONDS = 0.05
CONNECTIONS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
LATENESS = """SELECT extract(epoch FROM created_at - scheduled_for) FROM deployments_executionlog
    WHERE scheduled_for IS NOT NULL AND status <> 'skipped'
    AND created_at BETWEEN to_timestamp(%s) AND to_timestamp(%s)"""
UNFINISHED = """SELECT count(*) FROM deployments_executionlog
    WHERE status IN ('queued', 'running') AND created_at < now() - interval '5 seconds'"""


@dataclass(frozen=True)
class Sample:
    """What was seen at that time (seconds since the epoch)."""

    at: float
    megabytes: float
    connections: int


def measure_soak(
    postgres_url: str, redis_url: str, provider_url: str, running: Ours | None, *, minutes: float
) -> list[Measurement]:
    """Of `running`, or of one web, worker and beat of its own."""
    with nullcontext(running) if running else run_ours(postgres_url, redis_url, provider_url) as ours:
        ours.deploy("soak", "openai:mock")
        for number in range(SCHEDULES):
            deployed = ours.deploy(f"soak-{number}", "openai:mock")
            schedule = {"interval_seconds": EVERY_SECONDS, "input_data": {"text": "The input."}}
            ours.send("PUT", f"/api/deployments/{deployed}", {"schedule": schedule})
        return asyncio.run(_soak(ours, ours.target("soak"), seconds=minutes * 60))


async def _soak(ours: Ours, target: Target, *, seconds: float) -> list[Measurement]:
    await call(target, calls=WARM_UP_CALLS, callers=CALLERS)
    full = (await call(target, calls=FULL_CALLS, callers=CALLERS)).per_second
    began, seen, samples = time.time(), Seen([], 0.0, Counter()), list[Sample]()
    print(f"  full load is {full:.0f} calls a second; half of it for {seconds:.0f} s", file=sys.stderr, flush=True)
    sampling = asyncio.create_task(_sample(ours, samples, seen))
    await offer(target, per_second=full / 2, seconds=seconds, seen=seen)
    sampling.cancel()
    await asyncio.sleep(SETTLE_SECONDS)
    windows = [(began + since * seconds, began + until * seconds) for since, until in (EARLY, LATE)]
    early, late = [[each for each in samples if since <= each.at <= until] for since, until in windows]
    return [
        _growth("memory of all processes", early, late, lambda each: each.megabytes),
        _growth("connections to the database", early, late, lambda each: each.connections),
        *_read_database(ours.database_url, windows),
        Measurement(
            "soak: calls that were not answered with 200",
            seen.errors.total(),
            "",
            0,
            details={
                "calls": len(seen.latencies),
                "per_s": seen.per_second,
                "full_per_s": full,
                "p50_ms": percentile(seen.latencies, 50) * 1000,
                "p99_ms": percentile(seen.latencies, 99) * 1000,
            },
        ),
    ]


async def _sample(ours: Ours, samples: list[Sample], seen: Seen) -> None:
    """Until it is cancelled, and say now and then how far it is."""
    async with await psycopg.AsyncConnection.connect(ours.database_url, autocommit=True) as database:
        while True:
            row = await (await database.execute(CONNECTIONS)).fetchone()
            megabytes = sum(resident_mb(pid) for pid in ours.processes.values())
            samples.append(Sample(time.time(), megabytes, row[0] if row else 0))
            if len(samples) % 12 == 0:
                print(f"  {len(seen.latencies):,} calls, {samples[-1]}", file=sys.stderr, flush=True)
            await asyncio.sleep(SAMPLE_SECONDS)


def _read_database(url: str, windows: list[tuple[float, float]]) -> list[Measurement]:
    with psycopg.connect(url) as database:
        early, late = [
            [float(seconds) for (seconds,) in database.execute(LATENESS, window).fetchall()] for window in windows
        ]
        [unfinished] = database.execute(UNFINISHED).fetchone() or (0,)
    grown = statistics.median(late) - statistics.median(early)
    details = {
        "early_p50": statistics.median(early),
        "early_p95": percentile(early, 95),
        "late_p50": statistics.median(late),
        "late_p95": percentile(late, 95),
    }
    return [
        Measurement(
            "soak: p50 lateness of schedules, late more than early", grown, "s", LATENESS_SECONDS, details=details
        ),
        Measurement("soak: executions that have not ended a while after it", unfinished, "", 0),
    ]


def _growth(of: str, early: list[Sample], late: list[Sample], value: Callable[[Sample], float]) -> Measurement:
    """Of the medians."""
    before, after = (statistics.median(value(each) for each in samples) for samples in (early, late))
    details = {"early": before, "late": after}
    return Measurement(f"soak: {of}, growth", (after / before - 1) * 100, "%", GROWTH_PERCENT, details=details)
