"""Our system and the bare reference, as real processes on the same PostgreSQL, Redis and mock provider."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import Target
from executor.json_types import JsonObject
from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.processes import BIN, Process
from orchestration_site.proving.servers import create_database, free_port
from orchestration_site.tests.sites import Site, run_distributed_site


@dataclass(frozen=True)
class Ours:
    """Our system, with a one-agent design deployed for each model that was asked for.

    `processes` are its processes by name, whose children belong to them.
    """

    base_url: str
    key: str
    database_url: str
    processes: Mapping[str, int]

    @classmethod
    def of(cls, site: Site) -> "Ours":
        """The site, with a key of its own."""
        processes = {name: process.running.pid for name, process in site.processes.items()}
        key = site.make_key("bench", scopes=("execute", "read", "manage"))
        return cls(site.base_url, key, site.env.get("DATABASE_URL", ""), processes)

    @classmethod
    def running(cls, base_url: str, key: str, database_url: str, processes: Path) -> "Ours":
        """One that runs already; the file has a line for each process: its id, a blank, and its name."""
        lines = [line.partition(" ") for line in processes.read_text().splitlines()]
        return cls(base_url, key, database_url, {name: int(pid) for pid, _, name in lines})

    def target(self, path: str) -> Target:
        headers = {"Authorization": f"Bearer {self.key}", "Prefer": "wait=60"}
        return Target(f"{self.base_url}/api/deployed/{path}", {"text": "The input."}, headers)

    def deploy(self, path: str, model: str) -> str:
        """Deploy a design of one agent on that model; the deployment's id."""
        design = self.send("POST", "/api/designs", one_agent(path, model))
        deployed = self.send("POST", "/api/deployments", {"design_id": design["id"], "endpoint_path": path})
        return str(deployed["id"])

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's body. Raises `HTTPError` for one that says no."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base_url + path, json.dumps(body).encode(), headers, method=method)  # noqa: S310 - our own http URL
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own http URL
            return dict(json.load(answer))


def one_agent(name: str, model: str) -> JsonObject:
    """A design of one sequential block with one agent."""
    agent: JsonObject = {"id": "w", "name": "Writer", "role": "worker", "system_prompt": "Be brief.", "model": model}
    data: JsonObject = {"label": "Answer", "task": "Say what matters.", "agents": [agent]}
    return {"format": 1, "name": name, "blocks": [{"id": "b", "type": "sequential", "data": data}], "connections": []}


@contextlib.contextmanager
def run_mock_provider() -> Iterator[str]:
    """The mock provider in a process of its own; its base URL."""
    command = [sys.executable, "-m", "orchestration_site.proving.mock_provider", "--port", "0"]
    process = subprocess.Popen(command, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own words
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def run_ours(postgres_url: str, redis_url: str, provider_url: str) -> Iterator[Ours]:
    """Web, worker and beat of our system, one process each."""
    account = {"openai_base_url": provider_url, "openai_api_key": "x"}
    with run_distributed_site(postgres_url, redis_url, **account) as site:
        yield Ours.of(site)


@contextlib.contextmanager
def run_reference(postgres_url: str, redis_url: str, provider_url: str, model: str) -> Iterator[Target]:
    """Web and worker of the bare reference."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="orchestration-reference-") as name:
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "bench.reference.settings",
            "DATABASE_URL": create_database(postgres_url, f"reference_{port}"),
            "BROKER_URL": f"{redis_url}/1",
            "CHANNEL_URL": f"{redis_url}/1",
            "PROVIDER_URL": provider_url,
            "REFERENCE_MODEL": model,
        }
        django_admin = [str(BIN / "django-admin"), "migrate", "--run-syncdb", "-v0", "--pythonpath", str(BASE_DIR)]
        subprocess.run(django_admin, env=env, cwd=BASE_DIR, check=True)  # noqa: S603 - our own words
        uvicorn = [str(BIN / "uvicorn"), "bench.reference.asgi:application", "--port", str(port), "--lifespan", "off"]
        celery = [str(BIN / "celery"), "-A", "bench.reference", "worker", "-P", "threads"]
        processes = [
            Process.start("web", [*uvicorn, "--no-access-log", "--log-level", "warning"], env, Path(name)),
            Process.start("worker", [*celery, "--without-gossip", "--without-mingle"], env, Path(name)),
        ]
        target = Target(f"http://127.0.0.1:{port}/call", {"text": "The input."})
        try:
            yield target
        finally:
            for process in processes:
                process.kill()  # nothing is measured of how a worker of its kind ends, which may take a minute
