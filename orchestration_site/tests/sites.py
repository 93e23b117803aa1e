"""The whole system as its real processes, for tests that call it over a socket."""

import contextlib
import functools
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.mock_provider import MockProvider, serve_in_thread
from orchestration_site.proving.processes import (
    MANAGE,
    WORKER_IS_READY,
    Process,
    ProcessFailed,
    commands_of_roles,
    private_environment,
    run_manage,
    wait_for_url,
    wait_until_ready,
)
from orchestration_site.proving.servers import create_database, free_port

ROLES = ("web", "worker", "beat")
ADMIN_PASSWORD = "only for tests"
SQLITE_FILE = "orchestration.sqlite3"
#: Makes somebody of the default team who has these rights, and the administrator's password.
NEW_PERSON = """
from designs.tests.builders import make_person
person = make_person({name!r}, *{verbs!r})
person.set_password({password!r})
person.save()
"""


class CommandServer:
    """Management commands in the site's environment, in a process that is kept."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._running: subprocess.Popen[str] | None = None

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of `manage.py <words>`."""
        if self._running is None:
            self._running = subprocess.Popen(
                [sys.executable, "-m", "orchestration_site.tests.command_server"],
                env=dict(self._env),
                cwd=BASE_DIR,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(json.dumps(words) + "\n")
        self._running.stdin.flush()
        answer = json.loads(self._running.stdout.readline())
        return answer["status"], answer["out"], answer["err"]

    def stop(self) -> None:
        if self._running is not None:
            self._running.communicate()  # the end of its input is its end


@dataclass
class Site:
    """A running system. `env` is what its processes were started with; `provider` is the model server behind it."""

    base_url: str
    env: Mapping[str, str]
    provider: MockProvider
    processes: dict[str, Process]
    admin_password: str = ADMIN_PASSWORD
    _commands: CommandServer = field(init=False)

    def __post_init__(self) -> None:
        self._commands = CommandServer(self.env)

    @property
    def provider_url(self) -> str:
        return self.provider.base_url

    def run_manage(self, *words: str) -> str:
        """Standard output of `manage.py <words>`, in the site's environment. Raises `ProcessFailed`."""
        status, out, err = self._commands.run(*words)
        if status:
            raise ProcessFailed(f"manage.py {' '.join(words)} ended with {status}.\n{err}")
        return out

    def make_key(
        self, name: str = "test", scopes: Sequence[str] = ("execute", "read"), deployments: Sequence[str] = ()
    ) -> str:
        """A new API key; for all deployments unless some are named by their endpoint paths."""
        words = [*(f"--scope={scope}" for scope in scopes), *(f"--deployment={path}" for path in deployments)]
        return self.run_manage("create_key", name, *words).strip()

    def make_person(self, name: str, *verbs: str) -> None:
        """Somebody of the default team with these rights, who signs in with the administrator's password."""
        command = NEW_PERSON.format(name=name, verbs=verbs, password=self.admin_password)
        self.run_manage("shell", "--command", command)

    def stop(self) -> None:
        self._commands.stop()
        for process in self.processes.values():
            if process.running.poll() is None:
                process.running.terminate()  # all at once: each takes a moment
        for process in self.processes.values():
            process.stop()


def site_environment(folder: Path, provider: MockProvider | None = None, /, **variables: object) -> dict[str, str]:
    """This process's environment without anything that the site reads, but for `variables`, in capitals."""
    account = {"OPENAI_BASE_URL": provider.base_url, "OPENAI_API_KEY": "sk-only-for-tests"} if provider else {}
    return private_environment(folder, **account | {"DRAIN_SECONDS": 5} | variables)


def put_tables_in_template(postgres_url: str) -> None:
    """Have each database that is made on that server from now on begin with the tables, and nothing in them."""
    with tempfile.TemporaryDirectory(prefix="orchestration-tables-") as name:
        run_manage(site_environment(Path(name), DATABASE_URL=f"{postgres_url}/template1"), "migrate")


@functools.cache
def tables_on_sqlite() -> bytes:
    """A database file with the tables and nothing in them, made once: it is two thirds of what a first start takes."""
    with tempfile.TemporaryDirectory(prefix="orchestration-tables-") as name:
        run_manage(site_environment(Path(name)), "migrate")
        return (Path(name) / SQLITE_FILE).read_bytes()


@contextlib.contextmanager
def run_embedded_site(**variables: object) -> Iterator[Site]:
    """`manage.py serve` on SQLite, on a free port that stays its own when it is restarted."""
    with tempfile.TemporaryDirectory(prefix="orchestration-embedded-") as name, serve_in_thread() as provider:
        env = site_environment(Path(name), provider, PORT=free_port(), ADMIN_PASSWORD=ADMIN_PASSWORD, **variables)
        (Path(name) / SQLITE_FILE).write_bytes(tables_on_sqlite())
        process = Process.start("serve", [*MANAGE, "serve"], env, Path(name))
        site = Site("", env, provider, {"serve": process})
        try:
            site.base_url = wait_for_url(process)
            wait_until_ready(site.base_url, process)
            yield site
        finally:
            site.stop()


@contextlib.contextmanager
def run_distributed_site(
    postgres_url: str,
    redis_url: str,
    of_roles: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    /,
    *,
    roles: Collection[str] = ROLES,
    **variables: object,
) -> Iterator[Site]:
    """Web, worker and beat as a process each, on a new database of that PostgreSQL server and on that Redis.

    Of `roles` the web process is always one. `of_roles` are variables of single ones.
    """
    with tempfile.TemporaryDirectory(prefix="orchestration-distributed-") as name, serve_in_thread() as provider:
        folder, port, unique = Path(name), free_port(), secrets.token_hex(4)
        env = site_environment(
            folder,
            provider,
            ADMIN_PASSWORD=ADMIN_PASSWORD,
            DATABASE_URL=create_database(postgres_url, f"site_{unique}"),
            BROKER_URL=f"{redis_url}/0",
            CHANNEL_URL=f"{redis_url}/0",
            **variables,
        )
        site = Site(f"http://127.0.0.1:{port}", env, provider, {})
        site.run_manage("setup")
        try:
            commands = commands_of_roles(port)
            for role in roles:
                own = env | dict(of_roles.get(role, {}))
                site.processes[role] = Process.start(role, commands[role], own, folder)
            wait_until_ready(site.base_url, site.processes["web"])
            if "worker" in roles:
                site.processes["worker"].wait_for_line(WORKER_IS_READY)
            yield site
        finally:
            site.stop()
