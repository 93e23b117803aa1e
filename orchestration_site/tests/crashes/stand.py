"""A running site whose processes can be told where to end themselves, with its models and its books beside it."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.mock_provider import ChatRequest
from orchestration_site.tests.crashes.books import Books
from orchestration_site.tests.crashes.plan import Plan, Point

PATIENCE = 60.0
PAUSE = 0.02
TOKEN = re.compile(r"\btoken-\w+\b")
STEP = re.compile(r"This is step (\w+)\.")

T = TypeVar("T")


class NotInTime(AssertionError):
    """What has to happen did not."""


def eventually(look: Callable[[], T], what: str, *, seconds: float = PATIENCE) -> T:
    """What `look` returns as soon as that is true. Raises `NotInTime`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise NotInTime(f"{what}: not within {seconds:.0f} s.")
        time.sleep(PAUSE)
    return found


def repeat(do: Callable[[], None], until: Callable[[], bool], what: str) -> None:
    """Do it again and again until that holds. Raises `NotInTime`."""

    def try_once() -> bool:
        do()
        return until()

    if not until():
        eventually(try_once, what)


class Models:
    """The model server's script: counts each agent's calls of each execution, and holds those that are to hang."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.held: set[str] = set()

    def __call__(self, request: ChatRequest) -> Any:
        prompt = json.dumps(request.messages)
        token, step = TOKEN.search(prompt), STEP.search(prompt)
        if token is None or step is None:
            return None
        self.calls[token.group(), step.group(1)] += 1
        if token.group() in self.held:
            return self._answer_when_released(token.group())
        return f"An answer for {token.group()}."

    async def _answer_when_released(self, token: str) -> str:
        while token in self.held:  # noqa: ASYNC110 - released by threads
            await asyncio.sleep(PAUSE)
        return f"An answer for {token}."


class ForkedProcesses:
    """The fork server of one site's environment."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as errors:
            self._running = subprocess.Popen(
                [sys.executable, "-m", "orchestration_site.tests.crashes.points"],
                env=dict(env),
                cwd=BASE_DIR,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def start(self, role: str, *, port: int, log: Path, plan: Path) -> int:
        return int(self._order(start=role, port=port, log=str(log), plan=str(plan))["pid"])

    def status_of(self, pid: int) -> int | None:
        """How it ended, negative for a signal; None while it runs. To be asked until it is not None."""
        status = self._order(status=pid)["status"]
        return None if status is None else int(status)

    def stop(self) -> None:
        self._running.communicate()  # the end of its input is the end of all that it has started

    def _order(self, **order: Any) -> dict[str, Any]:
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(json.dumps(order) + "\n")
        self._running.stdin.flush()
        return dict(json.loads(self._running.stdout.readline()))


class Stand:
    """One site: its processes, by role, and whoever calls it. The first of the roles is the one that answers."""

    def __init__(self, env: Mapping[str, str], *, key: str, models: Models, roles: Sequence[str]) -> None:
        self.roles, self.models, self.books = roles, models, Books(env)
        self.folder = Path(env["DATA_DIR"])
        self.port = int(env["PORT"])
        self._processes = ForkedProcesses(env, self.folder / "forks.log")
        self._pids: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        headers = {"Authorization": f"Bearer {key}"}
        alone = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=PATIENCE, limits=alone
        )

    def start(self, role: str, *, waits: bool = True) -> None:
        """Start it, and wait until it answers, if that is what it does."""
        self._ended.pop(role, None)
        self._pids[role] = self._processes.start(
            role, port=self.port, log=self.folder / f"{role}.log", plan=self._plan(role)
        )
        if waits and role == self.roles[0]:
            eventually(lambda: self.request("GET", "/livez") is not None, f"{role} answers")

    def send(self, role: str, number: signal.Signals) -> None:
        os.kill(self._pids[role], number)

    def start_again(self) -> None:
        """All of it, armed nowhere, whatever state it is in."""
        for role in self.roles:
            self._plan(role).unlink(missing_ok=True)
            if not self.has_ended(role):
                self.send(role, signal.SIGKILL)
                self.wait_for_end(role)
            self.start(role)

    def wait_for_end(self, role: str) -> int:
        """How the process ended: negative for a signal."""
        eventually(lambda: self.has_ended(role), f"{role} ends")
        return self._ended[role]

    def has_ended(self, role: str) -> bool:
        """Whether the process is gone."""
        if role not in self._ended and (status := self._processes.status_of(self._pids[role])) is not None:
            self._ended[role] = status
        return role in self._ended

    def arm(self, role: str, point: Point | None) -> None:
        """From now on the role notes what it passes, and ends itself at the point."""
        self._passed(role).unlink(missing_ok=True)
        Plan(str(self._passed(role)), point).write(self._plan(role))

    def passed(self, role: str) -> list[Point]:
        """The points that were passed since it was armed, in order."""
        try:
            lines = self._passed(role).read_text().splitlines()
        except FileNotFoundError:
            return []
        return [Point(*json.loads(line)) for line in lines]

    def wait_until_passed(self, role: str, operation: str) -> None:
        """Until it has done that, or has ended on the way."""
        eventually(
            lambda: self.has_ended(role) or any(point.operation == operation for point in self.passed(role)), operation
        )

    def disarm(self, role: str) -> None:
        """From now on the role notes nothing, and ends nowhere."""
        self._plan(role).unlink()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """The answer, or None when none came."""
        with contextlib.suppress(httpx.TransportError):
            return self._http.request(method, path, **options)
        return None

    def insist(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask again until there is an answer."""
        answers: list[httpx.Response] = []

        def ask() -> bool:
            if (answer := self.request(method, path, **options)) is not None:
                answers.append(answer)
            return bool(answers)

        eventually(ask, f"{method} {path} is answered")
        return answers[0]

    def deployment_at(self, endpoint: str) -> dict[str, Any]:
        """The deployment of that endpoint, as the API shows it."""
        answer = self.insist("GET", "/api/deployments", params={"endpoint_path": endpoint})
        (found,) = answer.json()["results"]
        return dict(found)

    def stop(self) -> None:
        self._processes.stop()
        self._http.close()
        self.books.close()

    def _plan(self, role: str) -> Path:
        return self.folder / f"{role}.plan"

    def _passed(self, role: str) -> Path:
        return self.folder / f"{role}.passed"
