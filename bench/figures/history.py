"""The history page at 100,000 executions: first and deep, filtered and not, for a superuser and for a team's member."""

import re
import subprocess
import sys
import time

import httpx

from bench.history_rows import PASSWORD
from bench.measurement import Measurement
from bench.visits import p95_ms, signed_in
from orchestration_site.environment import BASE_DIR
from orchestration_site.tests.sites import Site, run_distributed_site, run_embedded_site

EXECUTIONS = 100_000
VISITS = 15
BOUND_MS = 300
#: What is asked for, by the figure's words. `{deployment}` is one that has a twentieth of all.
ADDRESSES = {
    "first page": "/executions",
    "failed": "/executions?status=failed",
    "cancelled, scheduled": "/executions?status=cancelled&trigger=scheduled",
    "a week": "/executions?from={ago14}&to={ago7}",
    "one deployment": "/executions?deployment={deployment}",
    "one deployment, failed": "/executions?deployment={deployment}&status=failed",
    "version": "/executions?version=1",
    "version that none has": "/executions?version=77",
    "text": "/executions?search=503",
    "text that none has": "/executions?search=nothing-like-it",
    "counts": "/executions?part=histogram",
    "counts of failed": "/executions?part=histogram&status=failed",
    "counts of one deployment": "/executions?part=histogram&deployment={deployment}",
    "counts of a text": "/executions?part=histogram&search=503",
    "what runs now": "/executions?part=running",
}


def measure_history(postgres_url: str, redis_url: str) -> list[Measurement]:
    """The slowest of the addresses, p95, on each database."""
    with run_embedded_site() as site:
        sqlite = _measure(site, "SQLite")
    with run_distributed_site(postgres_url, redis_url) as site:
        site.run_manage("load_samples")
        return [*sqlite, *_measure(site, "PostgreSQL")]


def _measure(site: Site, database: str) -> list[Measurement]:
    command = [sys.executable, "-m", "bench.history_rows", str(EXECUTIONS)]
    subprocess.run(command, env=dict(site.env), cwd=BASE_DIR, check=True)  # noqa: S603 - our own words
    measurements = []
    for name, password in (("admin", site.admin_password), ("member", PASSWORD)):
        with signed_in(site, name, password) as client:
            seen = {words: p95_ms(client, address, visits=VISITS) for words, address in _addresses(client).items()}
        title = f"history page at {EXECUTIONS:,} executions, {database}, {name}: slowest p95"
        measurements.append(Measurement(title, max(seen.values()), "ms", BOUND_MS, details=seen))
    return measurements


def _addresses(client: httpx.Client) -> dict[str, str]:
    first = client.get("/executions").text
    found = re.findall(r'<option value="([0-9a-f-]{36})"', first)
    now = time.time()
    times = {f"ago{days}": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - days * 86_400)) for days in (7, 14)}
    addresses = {words: _filled(address, found[0], times) for words, address in ADDRESSES.items()}
    return addresses | {"deep page": _deep(client, first)}


def _filled(address: str, deployment: str, times: dict[str, str]) -> str:
    return address.format(deployment=deployment, **times)


def _deep(client: httpx.Client, page: str) -> str:
    """The address of the last page that "Older" leads to within 40 steps, from the middle of the history on."""
    address = ""
    for _ in range(40):
        match = re.search(r'href="(/executions\?[^"]*cursor=[^"]*)"[^>]*>Older', page)
        if match is None:
            break
        address = match[1].replace("&amp;", "&")
        page = client.get(address).text
    return address
