"""Equal sites for the sweep: one is built and furnished, the others are copies of it."""

import contextlib
import itertools
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg

from deployments.tests.site_api import EVERYTHING
from executor.json_types import JsonObject
from orchestration_site.proving.mock_provider import MockProvider
from orchestration_site.proving.servers import free_port
from orchestration_site.tests.crashes.books import Books
from orchestration_site.tests.crashes.stand import Models, Stand
from orchestration_site.tests.crashes.stories import ALONE, BROKEN, LIMITED, PAIR, SINGLE
from orchestration_site.tests.sites import Site, site_environment

Servers = tuple[str, str]
#: As short as a busy machine allows: a worker that cannot renew in time is rightly held to be lost.
PERIODS = {
    "LEASE_SECONDS": 2.5,
    "HEARTBEAT_SECONDS": 0.4,
    "SWEEP_SECONDS": 0.4,
    "REDISPATCH_SECONDS": 1.5,
    "DRAIN_SECONDS": 0.2,
    "LOG_LEVEL": "WARNING",
}


def build_sites(
    folder: Path, provider: MockProvider, servers: Servers | None, count: int
) -> Iterator[tuple[dict[str, str], str]]:
    """The environment of each, and a key to it. `servers` are those of PostgreSQL and Redis; None is one process."""
    first, name = folder / "first", f"crash_{secrets.token_hex(4)}"
    env = site_environment(first, provider, ADMIN_PASSWORD="only for tests", **PERIODS)
    if servers is not None:
        env |= _on_servers(servers, name, 0)
    key = _furnish(env)
    for number in range(1, count + 1):
        own = folder / str(number)
        shutil.copytree(first, own)
        copy = {"DATA_DIR": str(own), "PORT": str(free_port())}
        if servers is not None:
            copy |= _on_servers(servers, f"{name}_{number}", number, template=name)
        yield env | copy, key


def _on_servers(servers: Servers, name: str, number: int, *, template: str = "template1") -> dict[str, str]:
    database_server, redis = servers
    with psycopg.connect(f"{database_server}/postgres", autocommit=True) as connection:
        words = psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(words.format(psycopg.sql.Identifier(name), psycopg.sql.Identifier(template)))
    broker = f"{redis}/{number}"
    return {"DATABASE_URL": f"{database_server}/{name}", "BROKER_URL": broker, "CHANNEL_URL": broker}


def _furnish(env: dict[str, str]) -> str:
    """Deploy what the stories call; a key that may do everything."""
    env["PORT"] = str(free_port())
    site = Site("", env, MockProvider(), {})
    site.run_manage("setup")
    key = site.make_key(scopes=EVERYTHING)
    site.stop()
    stand = Stand(env, key=key, models=Models(), roles=("web",))
    try:
        stand.start("web")
        _deploy(stand, PAIR, ("first", "second"))
        _deploy(stand, SINGLE, ("first",))
        _deploy(stand, LIMITED, ("first",), limits=ALONE)
        broken = _deploy(stand, BROKEN, ("first",))
    finally:
        stand.stop()
    document = '{"format": 1, "name": "Broken", "blocks": "none"}'
    with contextlib.closing(Books(env)) as books:
        books.run("UPDATE designs_designversion SET document = %s WHERE design_id = %s", document, broken)
    return key


def _deploy(stand: Stand, path: str, steps: tuple[str, ...], *, limits: JsonObject | None = None) -> str:
    """The design's id, as the database has it."""
    design = stand.insist("POST", "/api/designs", json=_document(path, steps)).json()
    body = {"design_id": design["id"], "endpoint_path": path}
    deployment = stand.insist("POST", "/api/deployments", json=body).json()
    stand.insist("PUT", f"/api/deployments/{deployment['id']}", json={"limits": limits or {}}).raise_for_status()
    return str(design["id"]).replace("-", "")


def _document(name: str, steps: tuple[str, ...]) -> JsonObject:
    """A chain of blocks of one agent each, whose task says which step it is."""
    agent: JsonObject = {"id": "writer", "name": "Writer", "model": "openai:any", "settings": {"tries": 1}}
    blocks: list[JsonObject] = [
        {"id": step, "type": "sequential", "data": {"label": step, "task": f"This is step {step}.", "agents": [agent]}}
        for step in steps
    ]
    arrows: list[JsonObject] = [
        {"id": f"to-{after}", "source": before, "target": after} for before, after in itertools.pairwise(steps)
    ]
    return {"format": 1, "name": name, "blocks": list(blocks), "connections": list(arrows)}
