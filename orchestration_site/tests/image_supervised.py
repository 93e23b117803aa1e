"""The services of compose.yaml, as many of each as it says, each started again when it ends by itself."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration_site.tests.composed import replicas_of, words_of
from orchestration_site.tests.image_calls import START_SECONDS, wait_until_ready
from orchestration_site.tests.image_composed import FreshRoot, Role

LOOK_SECONDS = 0.1
#: What `restart` says of those that are started again whatever their exit status was.
STARTED_AGAIN = "unless-stopped"


@dataclass
class Place:
    """One of a service's containers: its place stays, and its process changes."""

    name: str
    role: Role
    is_wanted: bool = True
    starts: int = 1


@dataclass
class Supervised:
    """What runs. `folder` has each place's log, and `processes`: a line for each, its process id and its name."""

    folder: Path
    port: int
    places: dict[str, Place] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def processes(self) -> Path:
        return self.folder / "processes"

    @property
    def web(self) -> Role:
        return self.places["web 1"].role

    def start(self, fresh: FreshRoot, services: Mapping[str, Mapping[str, Any]]) -> str:
        """Migrate, and then everything else; what the first said. Raises `AssertionError` when it failed."""
        said = self.migrate(fresh, services["migrate"])
        lasting = {name: service for name, service in services.items() if name != "migrate"}
        with self._lock:
            for name, service in lasting.items():
                for place in (f"{name} {number}" for number in range(1, replicas_of(service) + 1)):
                    self.places[place] = Place(place, self._start(fresh, service, place))
            self._write()
        wait_until_ready(self.port, self.web.process)
        return said

    def migrate(self, fresh: FreshRoot, service: Mapping[str, Any]) -> str:
        """What it says. Raises `AssertionError`."""
        status, said = fresh.run(service, words_of(service))
        assert status == 0, said
        return said

    def replace(self, name: str, fresh: FreshRoot, service: Mapping[str, Any]) -> int:
        """Stop the process of that place and start one from this root; how the first one ended."""
        place = self.places[name]
        with self._lock:
            place.is_wanted = False
        status = place.role.end()
        with self._lock:
            place.role, place.is_wanted = self._start(fresh, service, name), True
            self._write()
        return status

    def kill(self, name: str) -> None:
        """As a machine's trouble does it. It is started again."""
        self.places[name].role.process.kill()

    def wait_until_healthy(self) -> None:
        """All of it, as the services' own checks find. Raises `CalledProcessError`."""
        until = time.monotonic() + START_SECONDS
        for place in self.places.values():
            while True:
                with self._lock:
                    role = place.role
                try:
                    role.require_health()
                    break
                except subprocess.CalledProcessError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(LOOK_SECONDS)

    def end(self) -> dict[str, int]:
        """Ask each place's process to end; how each did."""
        with self._lock:
            for place in self.places.values():
                place.is_wanted = False
        return {name: place.role.end() for name, place in self.places.items()}

    def said(self, name: str) -> str:
        return self._log(name).read_text(errors="replace")

    def watch(self) -> None:
        """Start again what has ended by itself, until it is over."""
        while not self._is_over.wait(LOOK_SECONDS):
            with self._lock:
                for place in self.places.values():
                    if place.is_wanted and place.role.process.poll() is not None:
                        assert place.role.service["restart"] == STARTED_AGAIN
                        place.role = self._start(place.role.fresh, place.role.service, place.name)
                        place.starts += 1
                        self._write()

    def close(self) -> None:
        """Kill what is left."""
        self._is_over.set()
        with self._lock:
            for place in self.places.values():
                place.is_wanted = False
                place.role.process.kill()
                place.role.process.wait()

    def _start(self, fresh: FreshRoot, service: Mapping[str, Any], name: str) -> Role:
        with self._log(name).open("ab") as log:
            return fresh.start(service, words_of(service), log)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '-')}.log"

    def _write(self) -> None:
        """All at once: somebody may be reading it."""
        lines = "".join(f"{place.role.process.pid} {name}\n" for name, place in self.places.items())
        new = self.folder / "processes.new"
        new.write_text(lines)
        os.replace(new, self.processes)


@contextlib.contextmanager
def run_supervised(folder: Path, port: int) -> Iterator[Supervised]:
    """With somebody who looks after what is started; what it said is shown when something goes wrong."""
    supervised = Supervised(folder, port)
    watching = threading.Thread(target=supervised.watch)
    watching.start()
    try:
        yield supervised
    except BaseException as error:
        for name in supervised.places:
            error.add_note(f"{name} said:\n{supervised.said(name)[-2_000:]}")
        raise
    finally:
        supervised.close()
        watching.join()
