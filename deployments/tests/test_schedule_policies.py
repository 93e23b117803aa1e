"""What becomes of times that are due: every one gets exactly one decision."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from deployments.scheduling.policies import MAX_CAUGHT_UP, MISSED_AFTER, Decision, Due, Open, decide

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def due_at(moment: datetime, *, jitter: timedelta = timedelta(0)) -> Due:
    return Due(moment, moment + jitter)


def minutes_ago(*minutes: float) -> list[Due]:
    return [due_at(NOW - timedelta(minutes=each)) for each in minutes]


def decided(due: list[Due], **fields: object) -> list[str]:
    """Of each: `run`, `wait`, or why it is skipped."""
    policies: dict[str, object] = {"catch_up": "latest", "window": HOUR, "overlap": "allow", "open_runs": Open()}
    return [_word(decision) for decision in decide(due, now=NOW, **(policies | fields))]  # type: ignore[arg-type]


def _word(decision: Decision) -> str:
    return decision.skipped or ("wait" if decision.waits else "run")


def test_a_time_that_is_a_little_late_is_on_time_whatever_the_policy() -> None:
    for catch_up in ("none", "latest", "all"):
        assert decided(minutes_ago(0.4, 0.1, 0), catch_up=catch_up) == ["run"] * 3


def test_jitter_is_no_lateness() -> None:
    hour_ago = due_at(NOW - HOUR, jitter=HOUR - timedelta(seconds=5))
    for catch_up in ("none", "latest", "all"):
        assert decided([hour_ago], catch_up=catch_up, window=timedelta(0)) == ["run"]


def test_none_runs_nothing_that_was_missed() -> None:
    assert decided(minutes_ago(50, 10, 1), catch_up="none") == ["missed"] * 3
    assert decided(minutes_ago(50, 10, 0.1), catch_up="none") == ["missed", "missed", "run"]


def test_latest_runs_the_last_that_was_missed_within_the_window() -> None:
    assert decided(minutes_ago(50, 10, 1)) == ["missed", "missed", "run"]
    assert decided(minutes_ago(200, 90)) == ["missed", "missed"]


def test_latest_runs_nothing_that_was_missed_when_a_time_is_on_time() -> None:
    assert decided(minutes_ago(50, 10, 0.1)) == ["missed", "missed", "run"]


def test_all_runs_what_was_missed_within_the_window() -> None:
    assert decided(minutes_ago(200, 50, 10, 0.1), catch_up="all") == ["missed", "run", "run", "run"]


def test_all_runs_the_latest_hundred_at_most() -> None:
    due = [due_at(NOW - timedelta(seconds=60 + second)) for second in range(MAX_CAUGHT_UP + 20, 0, -1)]
    assert decided(due, catch_up="all") == ["missed"] * 20 + ["run"] * MAX_CAUGHT_UP


def test_all_runs_them_one_after_the_other_where_they_may_not_overlap() -> None:
    for overlap in ("skip", "queue_one", "cancel_previous"):
        assert decided(minutes_ago(50, 10, 1), catch_up="all", overlap=overlap) == ["run", "wait", "wait"]


def test_skip_skips_while_an_earlier_one_has_not_ended() -> None:
    assert decided(minutes_ago(0), overlap="skip") == ["run"]
    assert decided(minutes_ago(0), overlap="skip", open_runs=Open(running=1)) == ["overlap"]
    assert decided(minutes_ago(0.2, 0.1), overlap="skip") == ["run", "overlap"], "among themselves, too"


def test_queue_one_lets_one_wait() -> None:
    assert decided(minutes_ago(0.3, 0.2, 0.1), overlap="queue_one") == ["run", "wait", "overlap"]
    assert decided(minutes_ago(0), overlap="queue_one", open_runs=Open(running=1)) == ["wait"]
    assert decided(minutes_ago(0), overlap="queue_one", open_runs=Open(running=1, waiting=1)) == ["overlap"]


def test_cancel_previous_waits_for_the_end_of_what_it_cancels() -> None:
    [free] = decide(
        minutes_ago(0), now=NOW, catch_up="latest", window=HOUR, overlap="cancel_previous", open_runs=Open()
    )
    assert (free.waits, free.cancels_previous) == (False, False)
    [late] = decide(
        minutes_ago(0), now=NOW, catch_up="latest", window=HOUR, overlap="cancel_previous", open_runs=Open(running=1)
    )
    assert (late.waits, late.cancels_previous) == (True, True)


@given(
    seconds=st.lists(st.integers(0, 20_000), unique=True, max_size=300),
    catch_up=st.sampled_from(["none", "latest", "all"]),
    overlap=st.sampled_from(["skip", "queue_one", "cancel_previous", "allow"]),
    window=st.integers(0, 10_000),
    open_runs=st.builds(Open, running=st.integers(0, 2), waiting=st.integers(0, 2)),
    take=st.integers(0, 300),
)
def test_every_time_has_one_decision_in_order(
    seconds: list[int], catch_up: str, overlap: str, window: int, open_runs: Open, take: int
) -> None:
    due = [due_at(NOW - timedelta(seconds=second)) for second in sorted(seconds, reverse=True)]
    policies: dict[str, object] = {
        "now": NOW,
        "catch_up": catch_up,
        "overlap": overlap,
        "window": timedelta(seconds=window),
        "open_runs": open_runs,
    }
    decisions = decide(due, **policies)  # type: ignore[arg-type]
    assert [decision.occurrence for decision in decisions] == [each.occurrence for each in due]
    assert decide(due, take=take, **policies) == decisions[:take]  # type: ignore[arg-type]
    ran = [decision for decision in decisions if decision.skipped is None]
    late = [decision for decision in ran if NOW - decision.occurrence > MISSED_AFTER]
    assert len(late) <= {"none": 0, "latest": 1, "all": MAX_CAUGHT_UP}[catch_up]
    assert all(NOW - decision.occurrence <= timedelta(seconds=window) for decision in late)
    at_once = sum(not decision.waits for decision in ran)
    assert overlap == "allow" or at_once + open_runs.running + open_runs.waiting <= max(
        1, open_runs.running + open_runs.waiting
    )
