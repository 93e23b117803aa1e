"""The system's own processes: started with an environment of their own, killed, stopped, and started again."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestration_site.environment import BASE_DIR, SECRET_FIELDS, Environment

START_SECONDS = 60.0
STOP_SECONDS = 30.0
BIN = Path(sys.executable).parent
MANAGE = (sys.executable, str(BASE_DIR / "manage.py"))
WORKER_IS_READY = re.compile("The worker is ready")
SITE_IS_RUNNING = re.compile(r"The site is running:\s+(http://\S+?)/\s")


@dataclass(frozen=True)
class Installation:
    """The system's files, and the programs of its virtual environment."""

    files: Path
    programs: Path

    @property
    def manage(self) -> tuple[str, ...]:
        """What a management command begins with."""
        return (str(self.programs / "python"), str(self.files / "manage.py"))


#: The one that this code is of.
HERE = Installation(BASE_DIR, BIN)


class ProcessFailed(Exception):
    """A process of the system did not do what it should; the message ends with what it logged."""


@dataclass
class Process:
    """One process of the system, and the file that it writes to, over all of its lives."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    running: subprocess.Popen[bytes]
    #: How long the log was when this life began.
    began_at: int = field(default=0)
    #: The folder that it is started in.
    cwd: Path = BASE_DIR

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], env: Mapping[str, str], folder: Path, *, cwd: Path = BASE_DIR
    ) -> "Process":
        log = folder / f"{name}.log"
        with log.open("ab") as output:
            began_at = output.tell()
            running = subprocess.Popen(  # noqa: S603 - our own words
                command, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        return cls(name, command, env, log, running, began_at, cwd)

    def restart(self) -> None:
        """Start it again, as it was."""
        again = self.start(self.name, self.command, self.env, self.log.parent, cwd=self.cwd)
        self.running, self.began_at = again.running, again.began_at

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; its exit status. Killed when it does not end."""
        if self.running.poll() is None:
            self.running.send_signal(number)
        try:
            return self.running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProcessFailed(f"{self.name} did not stop.\n{self.tail()}") from None

    def kill(self) -> None:
        """SIGKILL: it can put nothing in order any more."""
        running = self.running  # another thread may start the next life at once
        running.kill()
        running.wait()

    def suspend(self) -> None:
        """SIGSTOP: it stands still, and notices nothing of that until `resume`."""
        self.running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.running.send_signal(signal.SIGCONT)

    def said(self) -> str:
        """What it has logged in this life."""
        with self.log.open("rb") as log:
            log.seek(self.began_at)
            return log.read().decode(errors="replace")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4_000:]

    def wait_for_line(self, wanted: re.Pattern[str]) -> re.Match[str]:
        """Until it has logged that in this life. Raises `ProcessFailed`."""
        for _ in _patiently(self, f"never said {wanted.pattern}"):
            if found := wanted.search(self.said()):
                return found
        raise ProcessFailed(f"{self.name} never said {wanted.pattern}.\n{self.tail()}")


def private_environment(folder: Path, /, **variables: object) -> dict[str, str]:
    """This process's environment without anything that the system reads, but for `variables`, in capitals."""
    ours = {name.upper() for name in (*Environment.model_fields, *(f"{name}_file" for name in SECRET_FIELDS))}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    inherited.pop("DJANGO_SETTINGS_MODULE", None)
    return (
        inherited
        | {"ENV_FILE": os.devnull, "DATA_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
        | {name.upper(): str(value) for name, value in variables.items()}
    )


def commands_of_roles(port: int, of: Installation = HERE) -> dict[str, list[str]]:
    """What `make web`, `make worker` and `make beat` run, in the folder of the installation's files."""
    celery = [str(of.programs / "celery"), "-A", "orchestration_site"]
    return {
        "web": [*of.manage, "web", "--host", "127.0.0.1", "--port", str(port)],
        "worker": [*celery, "worker", "-P", "threads", "--without-gossip", "--without-mingle"],
        "beat": [*celery, "beat"],
    }


def run_manage(env: Mapping[str, str], *words: str, of: Installation = HERE) -> str:
    """Standard output of `manage.py <words>` in that environment. Raises `ProcessFailed`."""
    done = subprocess.run(  # noqa: S603 - our own words
        [*of.manage, *words], env=dict(env), cwd=of.files, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProcessFailed(f"manage.py {' '.join(words)} ended with {done.returncode}.\n{done.stderr}")
    return done.stdout


def wait_for_url(process: Process) -> str:
    """The URL that `serve` prints. Raises `ProcessFailed`."""
    return process.wait_for_line(SITE_IS_RUNNING).group(1)


def wait_until_ready(base_url: str, process: Process) -> None:
    """Until `/readyz` says so. Raises `ProcessFailed`."""
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
    raise ProcessFailed(f"{process.name} does not become ready: {last}\n{process.tail()}")


def _patiently(process: Process, complaint: str) -> Iterator[None]:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.running.poll() is not None:
            raise ProcessFailed(f"{process.name} ended and {complaint}.\n{process.tail()}")
        yield
        time.sleep(0.05)
