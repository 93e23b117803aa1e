"""What is tried of the image as compose.yaml describes it: it comes up, is found well, survives, and is upgraded."""

import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.client import SiteClient
from orchestration_site.proving.mock_provider import serve_in_thread
from orchestration_site.proving.processes import MANAGE, private_environment
from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.runner import MODEL
from orchestration_site.proving.servers import create_database, free_port
from orchestration_site.proving.stack import SCOPES
from orchestration_site.proving.table import table_of
from orchestration_site.proving.tests.upgraded import Upgraded
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Verdict
from orchestration_site.tests.image_calls import call_samples, say
from orchestration_site.tests.image_composed import FreshRoot, at_hand, make_secrets, require_read_only
from orchestration_site.tests.image_supervised import Supervised, run_supervised

#: A model of the mock provider that takes so many milliseconds: there is always something to be killed in.
SLOW_MODEL = "openai:latency-300"
KILL_EVERY_SECONDS = 5


@dataclass(frozen=True)
class Image:
    """Its files, and what the Dockerfile says of its processes."""

    root: Path
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Servers:
    """What the services' database and Redis are stood in for by; each trial has a database of its own."""

    postgres_url: str
    redis_url: str


@contextlib.contextmanager
def _composed(servers: Servers, provider_url: str) -> Iterator[tuple[Supervised, Path, dict[str, dict[str, Any]]]]:
    """Nothing started so far: who starts it, the folder of its secrets, and the services."""
    with tempfile.TemporaryDirectory(prefix="orchestration-composed-") as name:
        folder, port = Path(name), free_port()
        secrets = make_secrets(folder, create_database(servers.postgres_url, f"image_{port}"))
        services = at_hand(servers.redis_url, port, provider_url)
        with run_supervised(folder, port) as site:
            yield site, secrets, services


def try_composed(image: Image, servers: Servers, *, executions: int, then: str) -> list[str]:
    """It comes up, doctor finds it well, `then` succeeds beside it, and it survives kills; what ran."""
    with serve_in_thread() as provider, _composed(servers, provider.base_url) as (site, secrets, services):
        fresh = FreshRoot(image.root, image.config, secrets)
        require_read_only(fresh, services["web"])
        assert "User admin, password" in site.start(fresh, services)
        key = _make_key(site)
        site.wait_until_healthy()
        sys.stdout.write(site.web.inside(["python", "manage.py", "doctor"]))
        if then:
            run_then(then, site, key, provider.base_url, (secrets / "database_url").read_text().strip())
        call_samples(site.port, key)
        _lose_one_of_each(site, key)
        _prove(site, key, executions)
        statuses = site.end()
        assert not any(statuses.values()), f"They ended with {statuses}"
        return ["migrate", *statuses]


def try_upgrade(previous: Image, image: Image, servers: Servers) -> Verdict:
    """What `docker compose up --build --detach` does to a system of the previous release, under load."""
    provider = ScriptedProvider()
    with provider.serving(), _composed(servers, provider.base_url) as (site, secrets, services):
        site.start(FreshRoot(previous.root, previous.config, secrets), services)
        site.wait_until_healthy()
        fresh = FreshRoot(image.root, image.config, secrets)
        scenario = Upgraded(
            replace=lambda trial: _replace(trial, site, fresh, services),
            list_workers=lambda: site.web.inside(["python", "manage.py", "workers"]),
            executions=200,
            per_second=5.0,
            seconds=40,
        )
        return asyncio.run(_try_on(scenario, site, provider))


async def _replace(
    trial: Trial, site: Supervised, fresh: FreshRoot, services: Mapping[str, Mapping[str, Any]]
) -> list[int]:
    await asyncio.to_thread(site.migrate, fresh, services["migrate"])
    trial.say("migrated; the previous release goes on")
    statuses = []
    for name in list(site.places):
        service = services[name.split()[0]]
        statuses.append(await asyncio.to_thread(site.replace, name, fresh, service))
        trial.say(f"{name} is of this release")
    await asyncio.to_thread(site.wait_until_healthy)
    return statuses


async def _try_on(scenario: Upgraded, site: Supervised, provider: ScriptedProvider) -> Verdict:
    async with SiteClient(site.base_url, await asyncio.to_thread(_make_key, site)) as client:
        trial = Trial(
            client,
            target=site.base_url,
            rng=random.Random(1),
            say=say,
            model=MODEL,
            provider=provider,
        )
        verdict = await scenario.run(trial)
    sys.stdout.write(table_of([verdict]) + "\n")
    assert not verdict.broken
    return verdict


def _make_key(site: Supervised) -> str:
    scopes = [f"--scope={scope}" for scope in SCOPES]
    return site.web.inside(["python", "manage.py", "create_key", "image", *scopes]).strip()


def _lose_one_of_each(site: Supervised, key: str) -> None:
    """A worker and a beat may be lost without a word: nobody notices, and others come in their place."""
    lost = [site.places[name] for name in ("worker 1", "beat 1")]
    for place in lost:
        site.kill(place.name)
    call_samples(site.port, key)
    site.wait_until_healthy()
    assert [place.starts for place in lost] == [2, 2]


def _prove(site: Supervised, key: str, executions: int) -> None:
    """The product's own proof, which kills a worker of it again and again. Raises `CalledProcessError`."""
    kill = f"kill -9 $(grep worker {site.processes} | shuf -n 1 | cut -d ' ' -f 1)"
    words = ["prove", "--target", site.base_url, "--key", key, "--model", SLOW_MODEL]
    limits = ["--executions", str(executions), "--kill-every", str(KILL_EVERY_SECONDS), "--kill-command", kill]
    with tempfile.TemporaryDirectory(prefix="orchestration-proving-") as folder:
        env = private_environment(Path(folder))
        subprocess.run([*MANAGE, *words, *limits], env=env, cwd=BASE_DIR, check=True)  # noqa: S603 - our own words


def run_then(command: str, site: Supervised, key: str, provider_url: str, database_url: str) -> None:
    """A command that finds the system by its environment. Raises `CalledProcessError`."""
    found = {
        "SITE_URL": site.base_url,
        "SITE_KEY": key,
        "SITE_PROVIDER": provider_url,
        "SITE_PROCESSES": str(site.processes),
        "SITE_DATABASE": database_url,
    }
    env = private_environment(site.folder) | found
    subprocess.run(["/bin/sh", "-c", command], env=env, cwd=BASE_DIR, check=True)  # noqa: S603 - our own words
