"""Resident memory of the processes when nothing happens, after one execution has run through each."""

import json
import time
import urllib.request

import psutil

from bench.measurement import Measurement
from bench.stacks import Ours
from orchestration_site.tests.sites import Site, run_distributed_site, run_embedded_site

SETTLE_SECONDS = 3.0


def measure_memory(postgres_url: str, redis_url: str) -> list[Measurement]:
    """Of the embedded process, and of web, worker and beat together, in MB of 10^6 bytes."""
    with run_embedded_site() as site:
        embedded = _idle(site)
    with run_distributed_site(postgres_url, redis_url) as site:
        distributed = _idle(site)
    return [
        Measurement("idle memory of the embedded process", sum(embedded.values()), "MB", 200, details=embedded),
        Measurement("idle memory of web, worker and beat", sum(distributed.values()), "MB", 400, details=distributed),
    ]


def measure_memory_of(running: Ours) -> list[Measurement]:
    """Of a system that runs already, with as many of each role as it has; one of each is bounded."""
    _execute_once(running.base_url, running.key)
    time.sleep(SETTLE_SECONDS)
    each = {name: resident_mb(pid) for name, pid in running.processes.items()}
    of_roles = {name.split()[0]: size for name, size in sorted(each.items(), key=lambda pair: pair[1])}
    title = f"idle memory of {', '.join(sorted(of_roles))}: the largest of each"
    return [Measurement(title, sum(of_roles.values()), "MB", 400, details=each)]


def _idle(site: Site) -> dict[str, float]:
    _execute_once(site.base_url, site.make_key())
    time.sleep(SETTLE_SECONDS)
    return {name: resident_mb(process.running.pid) for name, process in site.processes.items()}


def _execute_once(base_url: str, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    url = f"{base_url}/api/deployed/feedback-analysis"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:  # noqa: S310 - our own http URL
        example = json.load(answer)["example"]
    request = urllib.request.Request(url, json.dumps(example).encode(), headers)  # noqa: S310 - our own http URL
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own http URL
        answer.read()


def resident_mb(pid: int) -> float:
    """Of the process and its children, in MB of 10^6 bytes. Raises `psutil.NoSuchProcess`."""
    process = psutil.Process(pid)
    return float(sum(part.memory_info().rss for part in (process, *process.children(recursive=True))) / 1e6)
