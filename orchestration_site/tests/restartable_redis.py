"""A Redis of a test's own, which can be killed and started again where it was."""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from orchestration_site.tests.servers import find_redis, free_port
from orchestration_site.tests.sites import Process

PATIENCE_SECONDS = 30.0


@dataclass
class RestartableRedis:
    """Its `url` names no database."""

    url: str
    process: Process

    def kill(self) -> None:
        """With everything that it knew: it keeps nothing on disk."""
        self.process.stop(signal.SIGKILL)

    def start(self) -> None:
        self.process.restart()
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                redis.Redis.from_url(self.url).ping()
            except redis.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return


@contextlib.contextmanager
def run_restartable_redis() -> Iterator[RestartableRedis]:
    """A server on a free port. Raises `ServerMissing`."""
    binary, port = find_redis(), free_port()
    if not os.access(binary, os.X_OK):
        binary.chmod(binary.stat().st_mode | 0o111)
    with tempfile.TemporaryDirectory(prefix="orchestration-redis-") as name:
        words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", name]
        process = Process.start("redis", [str(binary), *words], os.environ, Path(name))
        server = RestartableRedis(f"redis://127.0.0.1:{port}", process)
        try:
            server.wait_until_it_answers()
            yield server
        finally:
            server.kill()
