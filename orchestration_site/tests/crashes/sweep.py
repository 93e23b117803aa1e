"""The sweep: at each numbered point a process of a running site ends itself, and the site has to recover.

`python -m orchestration_site.tests.crashes.sweep [embedded] [distributed]` makes it and prints the table.
"""

import queue
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from orchestration_site.proving.mock_provider import serve_in_thread
from orchestration_site.proving.servers import run_postgres, run_redis
from orchestration_site.tests.crashes.books import ENDED
from orchestration_site.tests.crashes.plan import Point
from orchestration_site.tests.crashes.sites import Servers, build_sites
from orchestration_site.tests.crashes.stand import Models, NotInTime, Stand, eventually
from orchestration_site.tests.crashes.stories import STORIES, Call, Story, as_uuid

STANDS = 6
#: Nothing more is passed when nothing was for so long.
QUIET_SECONDS = 0.6
NOT_REACHED = "The point is reached"
SECONDS_TO_REACH = 10.0
TRIES = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Crash:
    """One line of the table: who ended where, in which story, and what was wrong afterwards."""

    story: type[Story]
    victim: str
    point: Point
    seconds: float = 0.0
    repeated_calls: int = 0
    complaints: list[str] = field(default_factory=list)
    #: Whether the process ended there. What one flush of the group commit holds is chance: what it held in the
    #: rehearsal need not come together again, and then there is no such point to end at.
    reached: bool = True

    def line(self, number: int) -> str:
        verdict = "; ".join(self.complaints) or ("recovered" if self.reached else "not reached again")
        head = f"{number:>3}  {self.victim:<7} {self.story.name:<22} {self.point!s:<58}"
        return f"{head} {self.seconds:>6.1f} s {self.repeated_calls:>3}  {verdict}"


Part = tuple[type[Story], str, Point]


def sweep(servers: Servers | None, *, stands: int = STANDS, is_short: bool = False) -> list[Crash]:
    """Every point of every story, on so many sites at once. Without servers it is the system in one process.

    The short form ends each process before and after each operation in one story, not in every story that has it.
    """
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestration-crash-"))
        provider = stack.enter_context(serve_in_thread(models := Models()))
        roles = ("serve",) if servers is None else ("web", "worker", "beat")
        free: queue.SimpleQueue[Stand] = queue.SimpleQueue()
        for env, key in build_sites(Path(name), provider, servers, stands):
            free.put(stack.enter_context(_running(Stand(env, key=key, models=models, roles=roles))))
        with ThreadPoolExecutor(stands) as threads:
            cast = [(story, role) for story in STORIES for role in roles if role in story.victims]
            passed = list(threads.map(lambda part: _on_a_free_one(free, rehearse, *part), cast))
            planned = [
                (story, role, point) for (story, role), points in zip(cast, passed, strict=True) for point in points
            ]
            chosen = one_of_each(planned) if is_short else [[part] for part in planned]
            return list(threads.map(lambda parts: _on_a_free_one(free, crash_at_one, parts), chosen))


def one_of_each(planned: Sequence[Part]) -> list[list[Part]]:
    """The parts of each process, side and operation, of which one is to be played."""
    found: dict[tuple[str, str, str], list[Part]] = {}
    for story, role, point in planned:
        found.setdefault((role, point.side, point.operation), []).append((story, role, point))
    return list(found.values())


def crash_at_one(stand: Stand, parts: Sequence[Part]) -> Crash:
    """The crash of the first part whose point is reached; of the last when none is."""
    for part in parts:
        crash = crash_at(stand, *part)
        if crash.reached:
            break
    return crash


def rehearse(stand: Stand, kind: type[Story], victim: str) -> list[Point]:
    """The points that the story leads past, when nobody ends there."""
    story = kind(stand, victim)
    story.prepare()
    stand.arm(victim, None)
    story.act()
    if story.ends:
        stand.wait_for_end(victim)
        stand.start(victim)
    story.recover()
    wait_for_ends(story)
    wait_for_quiet(stand, victim)
    stand.disarm(victim)
    return list(dict.fromkeys(point for point in stand.passed(victim) if kind.is_own(point)))


def crash_at(stand: Stand, kind: type[Story], victim: str, point: Point) -> Crash:
    """The story, with the victim's end at that point, and what came of it."""
    late = ""
    for _ in range(TRIES):
        story = kind(stand, victim)
        try:
            story.prepare()
            return _crash(story, point)
        except NotInTime as error:
            late = str(error)
            story.release()
            stand.start_again()
            if not late.startswith(NOT_REACHED):
                return Crash(kind, victim, point, complaints=[late])
    return Crash(kind, victim, point, complaints=[] if point.is_by_chance else [late], reached=False)


def _crash(story: Story, point: Point) -> Crash:
    stand, victim = story.stand, story.victim
    stand.arm(victim, point)
    story.act()
    eventually(lambda: stand.has_ended(victim), NOT_REACHED, seconds=SECONDS_TO_REACH)
    status = stand.wait_for_end(victim)
    stand.disarm(victim)
    complaints = [] if status == -signal.SIGKILL and stand.passed(victim)[-1] == point else [f"ended with {status}"]
    before = dict(stand.models.calls)
    recorded = {call.token: _recorded_steps(stand, call.token) for call in story.calls}
    began = time.monotonic()
    stand.start(victim)
    story.recover()
    wait_for_ends(story)
    seconds = time.monotonic() - began
    complaints += look_at(story, before, recorded)
    repeated = sum(max(0, stand.models.calls[call.token, step] - 1) for call in story.calls for step in call.steps)
    return Crash(type(story), victim, point, seconds, repeated, complaints)


def look_at(story: Story, before: dict[tuple[str, str], int], recorded: dict[str, set[str]]) -> list[str]:
    """What is wrong after the story: with its calls, their executions, what the models were asked."""
    books, models, found = story.stand.books, story.stand.models, []
    for call in story.calls:
        executions = books.executions_of(call.token)
        statuses = [execution["status"] for execution in executions]
        if statuses != [call.expected]:
            found.append(f"{call.token}: {statuses} instead of one that is {call.expected}")
        found += books.complaints(executions)
        if not call.is_scheduled:
            found += [wrong for execution in executions for wrong in _wrong_answers(story, call, execution)]
        for step in call.steps:
            made, again = before.get((call.token, step), 0), models.calls[call.token, step]
            most = max(1, made + (step not in recorded[call.token]))
            if made > story.calls_before or again > most:
                found.append(f"{call.token}: {step} was called {made} times, then {again}")
    return found + story.complaints()


def _wrong_answers(story: Story, call: Call, execution: dict[str, Any]) -> list[str]:
    """What its caller was told, held against what is kept."""
    answer = call.answer
    if answer is None or not answer.is_success:
        return [f"{call.token}: answered {answer and answer.text}"]
    told = answer.json()
    kept = story.stand.insist("GET", f"/api/executions/{as_uuid(execution['id'])}").json()
    if told["execution_id"] != kept["execution_id"]:
        return [f"{call.token}: answered for {told['execution_id']}, kept is {kept['execution_id']}"]
    if told["status"] == "completed" and told["result"] != kept["result_data"]["output"]:
        return [f"{call.token}: answered {told['result']!r}, kept is {kept['result_data']!r}"]
    return []


def _recorded_steps(stand: Stand, token: str) -> set[str]:
    return {
        step for execution in stand.books.executions_of(token) for step in stand.books.recorded_steps(execution["id"])
    }


def wait_for_ends(story: Story) -> None:
    books = story.stand.books

    def all_have_ended() -> bool:
        found = [books.executions_of(call.token) for call in story.calls]
        return all(found) and all(execution["status"] in ENDED for rows in found for execution in rows)

    eventually(all_have_ended, f"{story.name}: every execution ends")


def wait_for_quiet(stand: Stand, victim: str) -> None:
    passed, since = -1, time.monotonic()

    def is_quiet() -> bool:
        nonlocal passed, since
        if (now_passed := len(stand.passed(victim))) != passed:
            passed, since = now_passed, time.monotonic()
        return time.monotonic() - since > QUIET_SECONDS

    eventually(is_quiet, f"{victim} is quiet")


def _on_a_free_one(free: "queue.SimpleQueue[Stand]", do: Callable[..., T], *part: Any) -> T:
    stand = free.get()
    try:
        return do(stand, *part)
    finally:
        free.put(stand)


@contextmanager
def _running(stand: Stand) -> Iterator[Stand]:
    try:
        for role in stand.roles:
            stand.start(role)
        yield stand
    finally:
        stand.stop()


def table_of(crashes: Sequence[Crash]) -> list[str]:
    """Each point with its verdict, and the sum."""
    head = f"{'#':>3}  {'process':<7} {'while':<22} {'ends':<58} {'recovery':>8} {'again':>5}"
    lines = [head, *(crash.line(number) for number, crash in enumerate(crashes, 1))]
    bad = sum(bool(crash.complaints) for crash in crashes)
    slowest = max(crash.seconds for crash in crashes)
    unreached = sum(not crash.reached for crash in crashes)
    summary = f"{len(crashes)} points, {bad} not recovered, {unreached} not reached again"
    return [*lines, f"{summary}, slowest recovery {slowest:.1f} s"]


def main(modes: Sequence[str]) -> int:
    bad = 0
    for mode in modes or ("embedded", "distributed"):
        with ExitStack() as stack:
            servers = None
            if mode == "distributed":
                servers = stack.enter_context(run_postgres()), stack.enter_context(run_redis())
            began = time.monotonic()
            crashes = sweep(servers)
        sys.stdout.write("\n".join([mode, *table_of(crashes), f"{time.monotonic() - began:.0f} s\n"]))
        bad += sum(bool(crash.complaints) for crash in crashes)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
