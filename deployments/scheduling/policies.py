"""What becomes of the scheduled times that are due: which run, which are skipped and why. Pure: no clock, no database.

Every time gets exactly one decision. Those that the scheduler was too late for go by `catch_up`; those that run, while
an earlier run of the schedule has not ended, by `overlap`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

#: A time is missed when nobody fired it for so long after it was to fire. Less is a scheduler that was restarted, is
#: busy, or has taken over from one that was stopped with the schedule in its hands.
MISSED_AFTER = timedelta(seconds=30)
#: Of the times that were missed, `catch_up: all` runs so many at most, the latest.
MAX_CAUGHT_UP = 100

SkipReason = Literal["missed", "overlap", "limit"]
CatchUp = Literal["none", "latest", "all"]
Overlap = Literal["skip", "queue_one", "cancel_previous", "allow"]


@dataclass(frozen=True)
class Due:
    """A scheduled time that has come, and the moment at which it was to fire: its jitter later."""

    occurrence: datetime
    fires_at: datetime


@dataclass(frozen=True)
class Decision:
    """One scheduled time. It runs, at once or (`waits`) when the runs before it have ended; or is skipped."""

    occurrence: datetime
    skipped: SkipReason | None = None
    waits: bool = False
    #: Whether the runs before it are to be cancelled.
    cancels_previous: bool = False


@dataclass(frozen=True)
class Open:
    """The executions of a schedule that have not ended: those that may run, and those that wait for these."""

    running: int = 0
    waiting: int = 0


def decide(
    due: Sequence[Due],
    *,
    now: datetime,
    catch_up: CatchUp,
    window: timedelta,
    overlap: Overlap,
    open_runs: Open,
    take: int | None = None,
) -> list[Decision]:
    """One decision for each of the times that are due, which come in order; for the first `take` of them if given.

    Whoever takes some only hands over `MAX_CAUGHT_UP` more, for what comes after a time is part of its decision.
    """
    late = [each for each in due if is_missed(each.fires_at, now)]
    caught_up = set(_caught_up(late, has_later=len(late) < len(due), now=now, catch_up=catch_up, window=window))
    decisions: list[Decision] = []
    for each in due[:take]:
        if is_missed(each.fires_at, now) and each not in caught_up:
            decisions.append(Decision(each.occurrence, skipped="missed"))
            continue
        # What is caught up was asked for: it runs one after the other rather than being skipped for itself.
        policy = "queue_all" if each in caught_up and catch_up == "all" and overlap != "allow" else overlap
        decisions.append(_decide_overlap(each.occurrence, policy, open_runs))
        open_runs = _with(open_runs, decisions[-1])
    return decisions


def is_missed(fires_at: datetime, now: datetime) -> bool:
    """Whether it is too late now for what was to fire then, so that `catch_up` decides."""
    return now - fires_at > MISSED_AFTER


def _caught_up(
    late: Sequence[Due], *, has_later: bool, now: datetime, catch_up: CatchUp, window: timedelta
) -> Sequence[Due]:
    recent = [each for each in late if now - each.fires_at <= window]
    if catch_up == "all":
        return recent[-MAX_CAUGHT_UP:]
    # A time that is on time is later than all that were missed: it is the latest.
    return recent[-1:] if catch_up == "latest" and not has_later else ()


def _decide_overlap(occurrence: datetime, policy: str, open_runs: Open) -> Decision:
    if policy == "allow" or not (open_runs.running or open_runs.waiting):
        return Decision(occurrence)
    if policy == "cancel_previous":
        return Decision(occurrence, waits=True, cancels_previous=True)
    if policy == "queue_all" or (policy == "queue_one" and not open_runs.waiting):
        return Decision(occurrence, waits=True)
    return Decision(occurrence, skipped="overlap")


def _with(open_runs: Open, decision: Decision) -> Open:
    if decision.skipped is not None:
        return open_runs
    if decision.waits:
        return Open(open_runs.running, open_runs.waiting + 1)
    return Open(open_runs.running + 1, open_runs.waiting)
