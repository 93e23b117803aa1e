"""A whole system of its own, to be killed piece by piece: its servers, its web process, as many workers and beats
as wanted.

A worker's name is also its key at the model provider, which so knows who calls.
"""

import contextlib
import secrets
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestration_site.proving.processes import (
    HERE,
    MANAGE,
    SITE_IS_RUNNING,
    WORKER_IS_READY,
    Installation,
    Process,
    commands_of_roles,
    private_environment,
    run_manage,
    wait_until_ready,
)
from orchestration_site.proving.rabbitmq import RabbitServer
from orchestration_site.proving.servers import PostgresServer, RedisServer, free_port

EMBEDDED: Final = "embedded"
DISTRIBUTED: Final = "distributed"
RABBITMQ: Final = "rabbitmq"
TARGETS = (EMBEDDED, DISTRIBUTED, RABBITMQ)
SCOPES = ("execute", "read", "manage")


@dataclass(frozen=True)
class Servers:
    """What a distributed system stands on: Redis carries live progress, and is the broker where there is no other."""

    postgres: PostgresServer
    redis: RedisServer
    rabbitmq: RabbitServer | None = None

    @property
    def broker(self) -> RedisServer | RabbitServer:
        return self.rabbitmq or self.redis

    @property
    def broker_url(self) -> str:
        return self.rabbitmq.url if self.rabbitmq else f"{self.redis.url}/0"


class Stack(ABC):
    """A running system. Workers and beats are started singly; each kill, stop or restart is done to their `Process`."""

    def __init__(self, folder: Path, env: Mapping[str, str], servers: Servers | None, of: Installation = HERE) -> None:
        self.folder = folder
        self.env = env
        #: What is started from now on is started from there.
        self.installation = of
        self._key: str | None = None
        self.workers: list[Process] = []
        self.beats: list[Process] = []
        self._servers = servers
        self._started = 0

    @property
    def servers(self) -> Servers:
        """Its servers. Raises `RuntimeError` where the system is one process."""
        if self._servers is None:
            raise RuntimeError("An embedded system has no servers.")
        return self._servers

    @property
    @abstractmethod
    def base_url(self) -> str:
        """Where it is called."""

    @property
    @abstractmethod
    def worker_command(self) -> list[str]:
        """What a worker is started with."""

    @property
    @abstractmethod
    def beat_command(self) -> list[str]:
        """What a beat is started with. Raises `RuntimeError` where the worker has one in itself."""

    @abstractmethod
    def wait_for(self, worker: Process) -> None:
        """Until the worker has started and takes executions. Raises `ProcessFailed`."""

    def add_worker(self, **variables: object) -> Process:
        """One worker more, with these variables in its environment. Raises `ProcessFailed`."""
        self._started += 1
        name = f"worker-{self._started}"
        own = {"OPENAI_API_KEY": name} | {key.upper(): str(value) for key, value in variables.items()}
        worker = self._start(name, self.worker_command, {**self.env, **own})
        self.workers.append(worker)
        return worker

    def add_beat(self) -> Process:
        """One beat more; what comes due before it has started, it fires late."""
        beat = self._start(f"beat-{len(self.beats) + 1}", self.beat_command, self.env)
        self.beats.append(beat)
        return beat

    def _start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> Process:
        return Process.start(name, command, env, self.folder, cwd=self.installation.files)

    def end_workers(self) -> None:
        """Kill every worker and beat that is left; what they ran is up to the next ones."""
        for process in (*self.workers, *self.beats):
            process.kill()
        self.workers.clear()
        self.beats.clear()

    def make_key(self) -> str:
        """An API key that may do everything: one, whatever is tried on this system."""
        if self._key is None:
            words = ("create_key", "proving", *(f"--scope={scope}" for scope in SCOPES))
            self._key = run_manage(self.env, *words, of=self.installation).strip()
        return self._key

    @property
    def target(self) -> str:
        """Which kind of system it is."""
        if self._servers is None:
            return EMBEDDED
        return RABBITMQ if self._servers.rabbitmq else DISTRIBUTED

    def open(self) -> None:
        """Make its tables, and start what is no worker. Raises `ProcessFailed`."""
        run_manage(self.env, "setup", of=self.installation)

    def keep_logs(self) -> Path:
        """Copy the logs of its processes to a folder that stays; that folder."""
        kept = Path(tempfile.mkdtemp(prefix="orchestration-proving-logs-"))
        for log in self.folder.glob("*.log"):
            shutil.copy(log, kept)
        return kept

    def stop(self) -> None:
        """End all of its processes."""
        self.end_workers()


class EmbeddedStack(Stack):
    """The system in one process, on SQLite: its one worker is the site itself."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        super().__init__(folder, env, None)
        self._base_url = f"http://127.0.0.1:{env['PORT']}"

    @property
    def base_url(self) -> str:
        return self._base_url

    @property
    def worker_command(self) -> list[str]:
        return [*MANAGE, "serve"]

    @property
    def beat_command(self) -> list[str]:
        raise RuntimeError("An embedded system's one process has the beat in it.")

    def wait_for(self, worker: Process) -> None:
        worker.wait_for_line(SITE_IS_RUNNING)
        wait_until_ready(self.base_url, worker)


class DistributedStack(Stack):
    """Web, workers and beats as processes. There is a beat where schedules are proved: nothing else rests on one."""

    def __init__(self, folder: Path, env: Mapping[str, str], servers: Servers, of: Installation = HERE) -> None:
        super().__init__(folder, env, servers, of)
        self._port = free_port()
        self._base_url = f"http://127.0.0.1:{self._port}"
        self._web: Process | None = None

    @property
    def base_url(self) -> str:
        return self._base_url

    @property
    def worker_command(self) -> list[str]:
        return [*self._commands["worker"], "-n", f"{secrets.token_hex(4)}@%h"]

    @property
    def beat_command(self) -> list[str]:
        return self._commands["beat"]

    def wait_for(self, worker: Process) -> None:
        worker.wait_for_line(WORKER_IS_READY)

    @property
    def _commands(self) -> dict[str, list[str]]:
        return commands_of_roles(self._port, self.installation)

    def open(self) -> None:
        super().open()
        self.start_web()

    def start_web(self) -> None:
        """A web process in place of the one that there was. Raises `ProcessFailed`."""
        if self._web is not None:
            self._web.stop()
        self._web = self._start("web", self._commands["web"], self.env)
        wait_until_ready(self.base_url, self._web)

    def stop(self) -> None:
        super().stop()
        if self._web is not None:
            self._web.kill()


@contextlib.contextmanager
def run_servers(target: str, *, durable: bool = True) -> Iterator[Servers | None]:
    """The servers that the target needs, in a folder that goes with them. Raises `ServerMissing`, `ServerFailed`."""
    if target == EMBEDDED:
        yield None
        return
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="orchestration-servers-")))
        folder.chmod(0o711)  # PostgreSQL may have to run as somebody else
        folders = {name: folder / name for name in ("postgres", "redis", "rabbitmq")}
        for inner in folders.values():
            inner.mkdir(mode=0o700)
        rabbitmq = RabbitServer(folders["rabbitmq"]) if target == RABBITMQ else None
        if rabbitmq is not None:
            running.enter_context(rabbitmq)
        postgres = running.enter_context(PostgresServer(folders["postgres"], durable=durable))
        yield Servers(postgres, running.enter_context(RedisServer(folders["redis"])), rabbitmq)


@contextlib.contextmanager
def run_stack(
    servers: Servers | None, provider_url: str, of: Installation = HERE, /, **variables: object
) -> Iterator[Stack]:
    """A new system on these servers, on an empty database, without workers; embedded when there are no servers."""
    with tempfile.TemporaryDirectory(prefix="orchestration-proving-") as name:
        folder = Path(name)
        common = {"OPENAI_BASE_URL": provider_url, "OPENAI_API_KEY": "web", **variables}
        stack = _embedded(folder, common) if servers is None else _distributed(folder, servers, common, of)
        try:
            stack.open()
            yield stack
        finally:
            stack.stop()


def _embedded(folder: Path, variables: Mapping[str, object]) -> Stack:
    return EmbeddedStack(folder, private_environment(folder, PORT=free_port(), **variables))


def _distributed(folder: Path, servers: Servers, variables: Mapping[str, object], of: Installation) -> Stack:
    env = private_environment(
        folder,
        DATABASE_URL=servers.postgres.create_database(f"proving_{secrets.token_hex(4)}"),
        BROKER_URL=servers.broker_url,
        CHANNEL_URL=f"{servers.redis.url}/0",
        **variables,
    )
    return DistributedStack(folder, env, servers, of)
