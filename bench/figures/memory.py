"""Resident memory of the processes when nothing happens, after one execution has run through each."""

import json
import time
import urllib.request

import psutil

from bench.measurement import Measurement
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


def _idle(site: Site) -> dict[str, float]:
    _execute_once(site)
    time.sleep(SETTLE_SECONDS)
    return {name: _resident(process.running.pid) for name, process in site.processes.items()}


def _execute_once(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.make_key()}", "Content-Type": "application/json"}
    url = f"{site.base_url}/api/deployed/feedback-analysis"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:  # noqa: S310 - our own http URL
        example = json.load(answer)["example"]
    request = urllib.request.Request(url, json.dumps(example).encode(), headers)  # noqa: S310 - our own http URL
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own http URL
        answer.read()


def _resident(pid: int) -> float:
    process = psutil.Process(pid)
    return float(sum(part.memory_info().rss for part in (process, *process.children(recursive=True))) / 1e6)
