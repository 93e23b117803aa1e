"""A private RabbitMQ, where the machine has one."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kombu import Connection, Queue

from orchestration_site.proving.servers import QUEUE, PrivateServer, ServerMissing, free_port

#: Debian's program on PATH works for root and its own user only; what it calls works for everyone.
SERVERS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/lib/rabbitmq/sbin/rabbitmq-server")


def find_rabbitmq() -> Path:
    """The script that starts a RabbitMQ server. Raises `ServerMissing`."""
    for place in (*SERVERS, shutil.which("rabbitmq-server")):
        if place and Path(place).is_file() and shutil.which("epmd"):
            return Path(place)
    raise ServerMissing("There is no RabbitMQ on this machine. On Debian, type: sudo apt install rabbitmq-server")


class RabbitServer(PrivateServer):
    """RabbitMQ with the port mapper that Erlang's programs find each other by, both on ports of their own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._ports = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None
        self._options = {"start_new_session": True}  # it is several processes, which are killed together

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def environment(self) -> Mapping[str, str]:
        mapper, between_nodes = self._ports
        ours = {
            "HOME": self.folder,
            "ERL_EPMD_PORT": mapper,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"proving{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": between_nodes,
            "RABBITMQ_MNESIA_BASE": self.folder / "data",
            "RABBITMQ_LOG_BASE": self.folder,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": self.folder / "rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins",
            "RABBITMQ_PID_FILE": self.folder / "pid",
        }
        return os.environ | {name: str(value) for name, value in ours.items()}

    def command(self) -> Sequence[object]:
        return [find_rabbitmq()]

    def greet(self) -> None:
        with Connection(self.url, connect_timeout=5) as connection:
            connection.connect()

    def start(self) -> None:
        if self._mapper is None:
            # Else the server starts one that outlives it.
            self._mapper = subprocess.Popen(["epmd"], env=dict(self.environment()))  # noqa: S607 - found on PATH
        super().start()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()

    def waiting(self) -> int:
        """How many messages for workers it holds."""
        with Connection(self.url) as connection:
            channel: Any = connection.default_channel
            return int(channel.queue_declare(QUEUE, passive=True).message_count)

    def empty(self) -> None:
        """Throw away the messages that it holds."""
        with Connection(self.url) as connection:
            Queue(QUEUE)(connection.default_channel).purge()

    def _send(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        if number is signal.SIGTERM:
            self._process.send_signal(number)  # the script passes it on, and waits
        else:
            os.killpg(self._process.pid, number)
