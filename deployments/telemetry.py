"""What is told to those who measure and trace; who they are is the composition root's choice (`settings.OBSERVERS`).

Without any of them nothing is told, and nothing is imported. One that fails is logged, and keeps nobody from working.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from types import TracebackType
from typing import Literal, Protocol, TypeVar
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from executor.events import Event

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObservedRun:
    """One attempt at an execution, as it begins. `kind_of` says which kind of provider a model's name leads to."""

    execution_id: UUID
    attempt: int
    deployment_id: UUID | None
    #: Empty for the trial of a draft.
    deployment_path: str
    trigger: str
    #: The W3C trace context of who asked for it; empty for nobody.
    traceparent: str
    created_at: datetime
    kind_of: Callable[[str], str]


@dataclass(frozen=True)
class ObservedFiring:
    """A scheduled time as it is fired: its execution, which is not stored yet."""

    execution_id: UUID
    schedule_id: UUID
    deployment_id: UUID
    deployment_path: str
    scheduled_for: datetime
    #: When it was to fire: then, and the schedule's jitter later.
    fires_at: datetime


@dataclass(frozen=True)
class RunEnd:
    """How an attempt was over.

    Beside the ends of executions: `released` (given back to the queue), `lost` (another attempt has it, or will), and
    `unclaimed`: it was another worker's from the beginning, and nothing was done here.
    """

    status: Literal["completed", "failed", "cancelled", "released", "lost", "unclaimed"]
    error_code: str = ""
    duration_ms: int = 0


class RunFollower(Protocol):
    """Is told of one attempt, on the event loop that runs it; returns at once."""

    def note(self, event: Event) -> None:
        """An event of the journal, before it is durable. What an earlier attempt recorded is not told again."""

    def end(self, end: RunEnd) -> None:
        """The attempt is over."""


class FiringFollower(Protocol):
    """Is told of one scheduled time that is fired. What comes to nothing, for its row cannot be stored, has no end."""

    @property
    def traceparent(self) -> str:
        """The trace context that its execution goes on with; empty for none."""

    def end(self, at: datetime) -> None:
        """Its execution is stored, for good."""


class Observer:
    """Is told what happens in this process. This one takes no notice."""

    def current_traceparent(self) -> str:
        """The trace context of what is being done here, in W3C's form; empty for none."""
        return ""

    @contextmanager
    def publishing(self, execution_id: UUID, traceparent: str) -> Iterator[None]:
        """While the workers are told of an execution, on behalf of that trace."""
        yield

    def follow(self, run: ObservedRun) -> RunFollower | None:
        """Somebody who wants to know how this attempt goes."""
        return None

    def follow_firing(self, firing: ObservedFiring) -> FiringFollower | None:
        """Somebody who wants to know when this scheduled time's execution is stored."""
        return None

    def count_lost_lease(self) -> None:
        """A worker was lost with an execution."""


@cache
def observers() -> tuple[Observer, ...]:
    """Those of this process."""
    return tuple(import_string(name)() for name in settings.OBSERVERS)


def current_traceparent() -> str:
    """The trace context of what is being done here; empty for none, and where nothing is traced."""
    return next((found for each in observers() if (found := ask(each.current_traceparent))), "")


@contextmanager
def publishing(execution_id: UUID, traceparent: str) -> Iterator[None]:
    """While the workers are told of an execution."""
    with ExitStack() as stack:
        for each in observers():
            ask(partial(stack.enter_context, _Guarded(each.publishing(execution_id, traceparent))))
        yield


class _Guarded:
    """An observer's context, whose end keeps nobody from working."""

    def __init__(self, context: AbstractContextManager[None]) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._context.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What the body raised is raised on, whatever the context makes of it."""
        try:
            self._context.__exit__(kind, raised, trace)
        except Exception as error:
            if error is not raised:
                log.exception("What happened could not be measured")


def count_lost_lease() -> None:
    """A worker was lost with an execution."""
    for each in observers():
        ask(each.count_lost_lease)


class Firings:
    """All who follow the scheduled times that one transaction fires."""

    def __init__(self) -> None:
        self._followers: list[FiringFollower] = []

    def add(self, firing: ObservedFiring) -> str:
        """Tell of one more; the trace context that its execution goes on with, empty for none."""
        asked = [ask(partial(each.follow_firing, firing)) for each in observers()]
        found = [follower for follower in asked if follower is not None]
        self._followers += found
        traces = (ask(partial(getattr, each, "traceparent")) for each in found)
        return next((trace for trace in traces if trace), "")

    def end(self, at: datetime) -> None:
        """The executions of all of them are stored."""
        for follower in self._followers:
            ask(partial(follower.end, at))


class Followers:
    """All who follow one attempt."""

    def __init__(self, followers: Sequence[RunFollower]) -> None:
        self._followers = list(followers)

    @classmethod
    def of(cls, describe: Callable[[], ObservedRun]) -> "Followers":
        """Those who want to know of this attempt, which is described only where somebody asks."""
        if not observers():
            return cls(())
        run = ask(describe)
        if run is None:
            return cls(())
        return cls([found for each in observers() if (found := ask(partial(each.follow, run))) is not None])

    def note(self, event: Event) -> None:
        self._tell(lambda follower: follower.note(event))

    def end(self, end: RunEnd) -> None:
        self._tell(lambda follower: follower.end(end))

    def _tell(self, tell: Callable[[RunFollower], None]) -> None:
        for follower in list(self._followers):
            try:
                tell(follower)
            except Exception:
                log.exception("What an execution did could not be measured; no more of it is")
                self._followers.remove(follower)


def ask(question: Callable[[], T]) -> T | None:
    """What an observer answers; None where it fails."""
    try:
        return question()
    except Exception:
        log.exception("What happened could not be measured")
        return None
