"""A one-agent endpoint over HTTP beside the bare reference: latency, throughput, many executions at once."""

import asyncio
import sys
import time
from collections import Counter
from contextlib import nullcontext

from bench.load import Seen, Target, call
from bench.measurement import Measurement, percentile
from bench.stacks import Ours, run_ours, run_reference

SEQUENTIAL_CALLS = 200
THROUGHPUT_CALLS = 1_500
ROUNDS = 3
SLOW_CALLS = 100
WARM_UP_CALLS = 60


def measure_endpoint(
    postgres_url: str, redis_url: str, provider_url: str, running: Ours | None = None
) -> list[Measurement]:
    """Both stacks run side by side and are measured in turns; only one is under load at a time.

    `running` is one of ours that is there already, and asks a provider of the same kind.
    """
    with nullcontext(running) if running else run_ours(postgres_url, redis_url, provider_url) as ours:
        with run_reference(postgres_url, redis_url, provider_url, "mock") as bare:
            quick = asyncio.run(_quick(_deployed(ours, "quick", "openai:mock"), bare))
        with run_reference(postgres_url, redis_url, provider_url, "latency-1000") as bare:
            slow = asyncio.run(_slow(_deployed(ours, "slow", "openai:latency-1000"), bare))
    return [*quick, slow]


def _deployed(ours: Ours, path: str, model: str) -> Target:
    ours.deploy(path, model)
    return ours.target(path)


async def _quick(ours: Target, bare: Target) -> list[Measurement]:
    for target in (bare, ours):
        await _until_it_answers(target)
        await call(target, calls=WARM_UP_CALLS, callers=8)
    latencies = await _in_turns(ours, bare, calls=SEQUENTIAL_CALLS, callers=1)
    p50 = [percentile(seen.latencies, 50) * 1000 for seen in latencies]
    measurements = [
        Measurement(
            "p50 of sequential calls, of the bare reference",
            p50[0] / p50[1],
            "times",
            2.0,
            details={
                "ours_ms": p50[0],
                "bare_ms": p50[1],
                "ours_p95_ms": percentile(latencies[0].latencies, 95) * 1000,
            },
        )
    ]
    errors = latencies[0].errors.total()
    for callers in (16, 64):
        loaded = await _in_turns(ours, bare, calls=THROUGHPUT_CALLS, callers=callers)
        rates = [seen.per_second for seen in loaded]
        errors += loaded[0].errors.total()
        details = {"ours_per_s": rates[0], "bare_per_s": rates[1]}
        name = f"throughput at {callers} callers, of the bare reference"
        measurements.append(Measurement(name, rates[0] / rates[1], "times", 0.6, at_least=True, details=details))
    return [*measurements, Measurement("errors of the endpoint under load", errors, "", 0)]


async def _slow(ours: Target, bare: Target) -> Measurement:
    for target in (bare, ours):
        await _until_it_answers(target)
        await call(target, calls=SLOW_CALLS, callers=SLOW_CALLS)
    seconds: tuple[list[float], list[float]] = ([], [])
    while len(seconds[0]) < ROUNDS:
        turns = [await call(target, calls=SLOW_CALLS, callers=SLOW_CALLS) for target in (ours, bare)]
        if turns[0].errors:
            raise RuntimeError(f"{ours.url} answered {dict(turns[0].errors)}")
        if not _is_lost(turns[1]):
            for times, seen in zip(seconds, turns, strict=True):
                times.append(seen.seconds)
    best = [min(times) for times in seconds]
    return Measurement(
        "100 executions of 1 s at once on one worker, of the bare reference",
        best[0] / best[1],
        "times",
        1.25,
        details={"ours_s": best[0], "bare_s": best[1]},
    )


async def _in_turns(ours: Target, bare: Target, *, calls: int, callers: int) -> tuple[Seen, Seen]:
    """Both, in turns of the same size, so that a slow moment of the machine meets both; each turn's sum."""
    sums = [Seen([], 0.0, Counter()) for _ in range(2)]
    good = 0
    while good < ROUNDS:
        turns = [await call(target, calls=calls // ROUNDS, callers=callers) for target in (ours, bare)]
        if _is_lost(turns[1]):
            continue
        good += 1
        for total, seen in zip(sums, turns, strict=True):
            total.latencies += seen.latencies
            total.seconds += seen.seconds
            total.errors += seen.errors
    return sums[0], sums[1]


def _is_lost(reference: Seen) -> bool:
    """Whether the reference has lost calls, which it then waits for: that round is not one to compare with."""
    if reference.errors:
        print(f"  (the reference answered {dict(reference.errors)}: the round is repeated)", file=sys.stderr)
    return bool(reference.errors)


async def _until_it_answers(target: Target) -> None:
    end = time.monotonic() + 60
    while (await call(target, calls=1, callers=1)).errors:
        if time.monotonic() > end:
            raise RuntimeError(f"{target.url} does not answer.")
        await asyncio.sleep(0.1)
