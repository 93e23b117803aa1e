"""Processes of the site that end themselves at one numbered point, as if the power had gone. The product knows nothing.

`python -m orchestration_site.tests.crashes.points` is a fork server: the whole site is imported in it, so that it
starts a process of a role (`web`, `worker`, `serve`) in milliseconds. It wraps, from outside, the places where a
process touches the world, once before and once after:

- a commit, also of a statement that is a transaction by itself;
- a hint to the workers, when the publisher takes it up and when kombu hands it to the broker;
- a message, when it comes from the broker and when it is acknowledged.

Each line of its input is a JSON order, each line of its output the answer: see `ForkServer`.
"""

import json
import os
import re
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "orchestration_site.settings"
django.setup()

# All that a role needs: a forked process must not have to import anything.
import celery.__main__  # noqa: E402 - Django has to be set up first, here and below
import celery.apps.beat  # noqa: E402
import celery.apps.worker  # noqa: E402
import celery.concurrency.thread  # noqa: E402
import celery.worker.consumer  # noqa: E402
import kombu.message  # noqa: E402
import kombu.messaging  # noqa: E402
import uvicorn.main  # noqa: E402
from django.core.management import execute_from_command_line  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402
from django.db.backends.utils import CursorWrapper  # noqa: E402
from django.urls import get_resolver  # noqa: E402

import orchestration_site.asgi  # noqa: E402, F401 - what the web server is told to load
from deployments.executions import lifecycle  # noqa: E402
from deployments.executions.publisher import Publisher  # noqa: E402
from orchestration_site.celery import app  # noqa: E402
from orchestration_site.proving.processes import MANAGE, commands_of_roles  # noqa: E402
from orchestration_site.tests.crashes.plan import Plan, Point  # noqa: E402

OURS = ("access.", "deployments.", "designs.", "rest.", "orchestration_site.")
WRITES = re.compile(r"\s*(WITH\b.*\b)?(INSERT|UPDATE|DELETE)\b", re.IGNORECASE | re.DOTALL)
#: Transitions that another function's transaction commits: they say what that commit is about.
PARTS_OF_COMMITS = ("accept", "accept_all", "claim", "advance", "finish", "release", "release_follower")
#: What a worker commits with each heartbeat, idle or not: it would never be quiet, and no two runs would be alike.
OF_EACH_HEARTBEAT = ("show_worker",)


class Watch:
    """Counts the points of this process, notes each, and ends the process at the one that the plan names."""

    def __init__(self, plan: Path) -> None:
        self._path = plan
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._plan: Plan | None = None
        self._counts: Counter[tuple[str, str]] = Counter()

    def pass_by(self, side: str, operation: str) -> None:
        with self._lock:
            self._look_at_plan()
            if self._plan is None:
                return
            self._counts[side, operation] += 1
            point = Point(side, operation, self._counts[side, operation])
            with Path(self._plan.passed).open("a") as passed:
                passed.write(json.dumps(point) + "\n")
            if point == self._plan.end_at:
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()

    def _look_at_plan(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen = self._plan = None
            return
        if self._seen != (found.st_ino, found.st_mtime_ns):
            self._seen = (found.st_ino, found.st_mtime_ns)
            self._plan = Plan.read(self._path)
            self._counts.clear()

    @contextmanager
    def around(self, operation: str) -> Iterator[None]:
        """The points before and after something that succeeds."""
        self.pass_by("before", operation)
        yield
        self.pass_by("after", operation)


class Doing(threading.local):
    """What this thread has done of a commit that another function makes."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def operation(self) -> str | None:
        """Who commits, and what; None when it is nobody of ours."""
        parts = ", ".join(dict.fromkeys(self.parts))
        function = _our_function()
        if function in OF_EACH_HEARTBEAT:
            return None
        return f"{function}: {parts}" if function and parts else function


def _our_function() -> str | None:
    """The innermost function of the product on this thread's stack."""
    for frame, _ in traceback.walk_stack(None):
        module = frame.f_globals.get("__name__", "")
        if module.startswith(OURS) and ".tests." not in module:
            name = frame.f_code.co_qualname
            return f"{module.rpartition('.')[2]}.{name}" if name.startswith("_") else name
    return None


def watch_commits(watch: Watch) -> None:
    doing = Doing()
    commit, roll_back = BaseDatabaseWrapper._commit, BaseDatabaseWrapper._rollback  # type: ignore[attr-defined]

    def commit_watched(self: BaseDatabaseWrapper) -> None:
        operation = doing.operation()
        doing.parts.clear()
        if operation is None:
            return commit(self)  # type: ignore[no-any-return]
        with watch.around(operation):
            return commit(self)  # type: ignore[no-any-return]

    def roll_back_watched(self: BaseDatabaseWrapper) -> None:
        doing.parts.clear()
        roll_back(self)

    def watched(execute: Callable[..., Any]) -> Callable[..., Any]:
        def execute_watched(self: CursorWrapper, sql: Any, params: Any = None) -> Any:
            is_commit = not self.db.in_atomic_block and WRITES.match(str(sql))
            operation = doing.operation() if is_commit else None
            if operation is None:
                return execute(self, sql, params)
            with watch.around(operation):
                return execute(self, sql, params)

        return execute_watched

    BaseDatabaseWrapper._commit = commit_watched  # type: ignore[attr-defined]
    BaseDatabaseWrapper._rollback = roll_back_watched  # type: ignore[attr-defined]
    CursorWrapper.execute = watched(CursorWrapper.execute)  # type: ignore[method-assign]
    CursorWrapper.executemany = watched(CursorWrapper.executemany)  # type: ignore[method-assign]
    _note_parts(doing)


def _note_parts(doing: Doing) -> None:
    def noted(name: str, transition: Callable[..., Any]) -> Callable[..., Any]:
        def transition_noted(subject: Any, *args: Any, **kwargs: Any) -> Any:
            if subject:  # of no execution it is none
                doing.parts.append(name)
            return transition(subject, *args, **kwargs)

        return transition_noted

    for name in PARTS_OF_COMMITS:
        setattr(lifecycle, name, noted(name, getattr(lifecycle, name)))


def watch_messages(watch: Watch) -> None:
    for owner, method, operation in (
        (Publisher, "_send", "hint"),
        (kombu.messaging.Producer, "_publish", "publish"),
        (kombu.messaging.Consumer, "_receive_callback", "message"),
        (kombu.message.Message, "ack", "acknowledge"),
    ):
        setattr(owner, method, _watched_method(watch, getattr(owner, method), operation))


def _watched_method(watch: Watch, method: Callable[..., Any], operation: str) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        with watch.around(operation):
            return method(*args, **kwargs)

    return watched


class ForkServer:
    """Starts processes of roles. Orders: `{start: role, port, log, plan}` answers `{pid}`; `{status: pid}` answers
    `{status}`, None while it runs, negative for the signal that ended it."""

    def __init__(self) -> None:
        self._children: set[int] = set()

    def serve(self) -> dict[str, Any] | None:
        """Obey until there are no more orders. In a started process it returns what to become."""
        for line in sys.stdin:
            order = json.loads(line)
            if "status" in order:
                answer = {"status": self._status(order["status"])}
            else:
                pid = self._fork()
                if pid == 0:
                    return dict(order)
                answer = {"pid": pid}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        return None

    def _fork(self) -> int:
        if threading.active_count() > 1:
            raise RuntimeError(f"A process with threads cannot be forked: {threading.enumerate()}")
        pid = os.fork()
        if pid:
            self._children.add(pid)
        return pid

    def _status(self, pid: int) -> int | None:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            return None
        self._children.discard(pid)
        return os.waitstatus_to_exitcode(status)


def become(role: str, port: int, log: str, plan: str) -> None:
    """Be a process of that role, as its command would start it."""
    nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for target, source in ((0, nothing), (1, written), (2, written)):
        os.dup2(source, target)
    watch = Watch(Path(plan))
    watch_commits(watch)
    watch_messages(watch)
    command = [*MANAGE, "serve"] if role == "serve" else commands_of_roles(port)[role]
    if command[0] == sys.executable:
        execute_from_command_line(command[1:])
        return
    sys.argv = command
    if role == "web":
        uvicorn.main.main()
    else:
        celery.__main__.main()


def main() -> None:
    app.loader.import_default_modules()
    _ = get_resolver().url_patterns
    if (order := ForkServer().serve()) is not None:
        become(order["start"], order["port"], order["log"], order["plan"])


if __name__ == "__main__":
    main()
