"""The whole system as its real processes, for tests that call it over a socket."""

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.mock_provider import MockProvider, serve_in_thread
from orchestration_site.environment import BASE_DIR, Environment
from orchestration_site.tests.servers import create_database, free_port

START_SECONDS = 60.0
STOP_SECONDS = 30.0
ADMIN_PASSWORD = "only for tests"
BIN = Path(sys.executable).parent
MANAGE = (sys.executable, str(BASE_DIR / "manage.py"))


class SiteFailed(Exception):
    """A process of the site did not do what it should; the message ends with what it logged."""


@dataclass
class Process:
    """One process of the site, and the file that it writes to."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    running: subprocess.Popen[bytes]

    @classmethod
    def start(cls, name: str, command: Sequence[str], env: Mapping[str, str], folder: Path) -> "Process":
        log = folder / f"{name}.log"
        with log.open("ab") as output:
            running = subprocess.Popen(  # noqa: S603 - our own words
                command, env=dict(env), cwd=BASE_DIR, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        return cls(name, command, env, log, running)

    def restart(self) -> None:
        """Start it again, as it was."""
        again = self.start(self.name, self.command, self.env, self.log.parent)
        self.running = again.running

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; its exit status. Killed when it does not end."""
        if self.running.poll() is None:
            self.running.send_signal(number)
        try:
            return self.running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
            raise SiteFailed(f"{self.name} did not stop.\n{self.tail()}") from None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4_000:]


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
        """Standard output of `manage.py <words>`, in the site's environment. Raises `SiteFailed`."""
        status, out, err = self._commands.run(*words)
        if status:
            raise SiteFailed(f"manage.py {' '.join(words)} ended with {status}.\n{err}")
        return out

    def make_key(
        self, name: str = "test", scopes: Sequence[str] = ("execute", "read"), deployments: Sequence[str] = ()
    ) -> str:
        """A new API key; for all deployments unless some are named by their endpoint paths."""
        words = [*(f"--scope={scope}" for scope in scopes), *(f"--deployment={path}" for path in deployments)]
        return self.run_manage("create_key", name, *words).strip()

    def stop(self) -> None:
        self._commands.stop()
        for process in self.processes.values():
            if process.running.poll() is None:
                process.running.terminate()  # all at once: each takes a moment
        for process in self.processes.values():
            process.stop()


def site_environment(folder: Path, provider: MockProvider | None = None, /, **variables: object) -> dict[str, str]:
    """This process's environment without anything that the site reads, but for `variables`, in capitals."""
    ours = {name.upper() for name in Environment.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    inherited.pop("DJANGO_SETTINGS_MODULE", None)
    account = {"OPENAI_BASE_URL": provider.base_url, "OPENAI_API_KEY": "sk-only-for-tests"} if provider else {}
    return (
        inherited
        | account
        | {"ENV_FILE": os.devnull, "DATA_DIR": str(folder), "DRAIN_SECONDS": "5", "PYTHONUNBUFFERED": "1"}
        | {name.upper(): str(value) for name, value in variables.items()}
    )


@contextlib.contextmanager
def run_embedded_site(**variables: object) -> Iterator[Site]:
    """`manage.py serve` on SQLite, on a free port."""
    with tempfile.TemporaryDirectory(prefix="orchestration-embedded-") as name, serve_in_thread() as provider:
        env = site_environment(Path(name), provider, PORT=0, ADMIN_PASSWORD=ADMIN_PASSWORD, **variables)
        process = Process.start("serve", [*MANAGE, "serve"], env, Path(name))
        site = Site("", env, provider, {"serve": process})
        try:
            site.base_url = wait_for_url(process)
            wait_until_ready(site.base_url, process)
            yield site
        finally:
            site.stop()


@contextlib.contextmanager
def run_distributed_site(postgres_url: str, redis_url: str, **variables: object) -> Iterator[Site]:
    """Web, worker and beat as a process each, on a new database of that PostgreSQL server and on that Redis."""
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
            for role, command in commands_of_roles(port).items():
                site.processes[role] = Process.start(role, command, env, folder)
            wait_until_ready(site.base_url, site.processes["web"])
            _wait_for_line(site.processes["worker"], re.compile("The worker is ready"))
            yield site
        finally:
            site.stop()


def commands_of_roles(port: int) -> dict[str, list[str]]:
    """What `make web`, `make worker` and `make beat` run."""
    celery = [str(BIN / "celery"), "-A", "orchestration_site"]
    return {
        "web": [*MANAGE, "web", "--host", "127.0.0.1", "--port", str(port)],
        "worker": [*celery, "worker", "-P", "threads", "--without-gossip", "--without-mingle"],
        "beat": [*celery, "beat"],
    }


def wait_for_url(process: Process) -> str:
    """The URL that `serve` prints. Raises `SiteFailed`."""
    return _wait_for_line(process, re.compile(r"The site is running:\s+(http://\S+?)/\s")).group(1)


def wait_until_ready(base_url: str, process: Process) -> None:
    """Until `/readyz` says so. Raises `SiteFailed`."""
    last = ""
    for _ in _patiently(process, "does not become ready"):
        try:
            with urllib.request.urlopen(f"{base_url}/readyz", timeout=5) as answer:  # noqa: S310 - our own http URL
                answer.read()
                return
        except urllib.error.HTTPError as error:
            last = error.read().decode()
        except OSError as error:
            last = str(error)
    raise SiteFailed(f"{process.name} does not become ready: {last}\n{process.tail()}")


def _wait_for_line(process: Process, wanted: re.Pattern[str]) -> re.Match[str]:
    for _ in _patiently(process, f"never said {wanted.pattern}"):
        if found := wanted.search(process.log.read_text(errors="replace")):
            return found
    raise SiteFailed(f"{process.name} never said {wanted.pattern}.\n{process.tail()}")


def _patiently(process: Process, complaint: str) -> Iterator[None]:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.running.poll() is not None:
            raise SiteFailed(f"{process.name} ended and {complaint}.\n{process.tail()}")
        yield
        time.sleep(0.05)
