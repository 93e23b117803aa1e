"""The history page at 100,000 executions: first and deep, each filter and every two of them, counts, and what runs now.

On SQLite and on PostgreSQL, for a superuser and for a team's member.
"""

import re
import subprocess
import sys
import time
from itertools import combinations

import httpx

from bench.history_rows import PASSWORD, UNUSED_VERSION
from bench.measurement import Measurement
from bench.visits import p95_ms, signed_in
from orchestration_site.environment import BASE_DIR
from orchestration_site.tests.sites import Site, run_distributed_site, run_embedded_site

EXECUTIONS = 100_000
VISITS = 15
#: Of what there is very much of, each is visited less often.
VISITS_OF_PAIRS = 5
BOUND_MS = 300
SHOWN = 5
#: What is filtered by, by the figure's words. `{deployment}` is one that has a tenth of all, `{id}` a deep execution.
FILTERS = {
    "failed": "status=failed",
    "skipped, long ago": "status=skipped",
    "scheduled": "trigger=scheduled",
    "a week": "from={ago14}&to={ago7}",
    "one deployment": "deployment={deployment}",
    "version": "version=1",
    "version that did not run": f"version={UNUSED_VERSION}",
    "version that none has": "version=77",
    "who": "search=key:crm",
    "text": "search=503",
    "text that none has": "search=nothing-like-it",
    "id": "search={id}",
}


def measure_history(postgres_url: str, redis_url: str) -> list[Measurement]:
    """The slowest p95 of each kind of address, on each database."""
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
            for kind, visited in addresses(client).items():
                title = f"history at {EXECUTIONS:,} executions, {database}, {name}: {kind}, slowest p95"
                measurements.append(slowest(client, title, visited, visits=_visits(kind)))
    return measurements


def _visits(kind: str) -> int:
    return VISITS_OF_PAIRS if kind == "two filters" else VISITS


def slowest(
    client: httpx.Client, title: str, visited: dict[str, str], *, visits: int, bound_ms: float = BOUND_MS
) -> Measurement:
    """The slowest p95 of these addresses, with the next ones below it."""
    seen = {words: p95_ms(client, address, visits=visits) for words, address in visited.items()}
    order = sorted(seen, key=lambda words: seen[words], reverse=True)[:SHOWN]
    shown = {words: seen[words] for words in order}
    return Measurement(title, seen[order[0]], "ms", bound_ms, details=shown)


def addresses(client: httpx.Client) -> dict[str, dict[str, str]]:
    """What is visited, by its kind and its words."""
    filters = _filters(client)
    deep = f"cursor={_deep_cursor(client)}"
    single = {"no filter": "", **filters}
    return {
        "first page": _with(single, ""),
        "deep page": _with(single, deep),
        "two filters": _with(_pairs(filters), ""),
        "counts": _with(single, "part=histogram"),
        "what runs now": _with(single, "part=running"),
    }


def _with(queries: dict[str, str], more: str) -> dict[str, str]:
    return {words: f"/executions?{'&'.join(filter(None, (query, more)))}" for words, query in queries.items()}


def _pairs(filters: dict[str, str]) -> dict[str, str]:
    """Every two that go together: a filter is given once."""
    return {
        f"{one}, {other}": f"{filters[one]}&{filters[other]}"
        for one, other in combinations(filters, 2)
        if _parameter(filters[one]) != _parameter(filters[other])
    }


def _parameter(query: str) -> str:
    return query.partition("=")[0]


def _filters(client: httpx.Client) -> dict[str, str]:
    deployment = _found(r'<option value="([0-9a-f-]{36})"', client.get("/executions").text)
    execution = _found(r'href="/executions/([0-9a-f-]{36})"', client.get(f"/executions?to={_ago(25)}").text)
    values = {"deployment": deployment, "id": execution, "ago7": _ago(7), "ago14": _ago(14)}
    return {words: query.format(**values) for words, query in FILTERS.items()}


def _deep_cursor(client: httpx.Client) -> str:
    """Where a page begins that has nine tenths of the history before it."""
    return _found(r'href="/executions\?[^"]*cursor=([^"&]*)"', client.get(f"/executions?to={_ago(27)}").text)


def _ago(days: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * 86_400))


def _found(pattern: str, page: str) -> str:
    match = re.search(pattern, page)
    if match is None:
        raise RuntimeError(f"The page has nothing like {pattern}")
    return match[1]
