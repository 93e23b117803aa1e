"""A verdict sees what was broken: each promise here is broken once, and nothing else is said to be."""

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestration_site.proving.findings import Findings, count_announced_again, count_unannounced
from orchestration_site.proving.table import table_of
from orchestration_site.proving.tests.records import BEGAN, WHOLE, make_findings, make_record
from orchestration_site.proving.verdict import Verdict, few_repeated, none_failed, promises_of_all


def broken_by(findings: Findings) -> list[str]:
    return [promise.text for promise in promises_of_all(findings, within=60) if not promise.kept]


def verdict_on(findings: Findings) -> Verdict:
    promises = (*promises_of_all(findings, within=60), none_failed(findings))
    return Verdict("worker-killed", "embedded", findings, 3, promises, ("a remark",))


def test_what_is_right_breaks_nothing() -> None:
    assert broken_by(make_findings(make_record())) == []


STUCK = make_record(WHOLE[:4], status="running", completed_at=None)
TWICE = make_record((*WHOLE[:5], "agent.completed", *WHOLE[5:]))
ENDED_TWICE = make_record((*WHOLE, "execution.failed"))
GAP = replace(make_record(), lines=make_record().lines[:3] + make_record().lines[4:])


@pytest.mark.parametrize(
    ("findings", "broken"),
    [
        (make_findings(make_record(), lost=("e2",)), "nothing that was accepted is lost"),
        (make_findings(STUCK, counted_as_ended=0), "all have ended within 60 s"),
        (make_findings(TWICE), "no result is recorded twice"),
        (make_findings(ENDED_TWICE), "no result is recorded twice"),
        (make_findings(GAP), "every journal is whole"),
        (make_findings(make_record(), strangers=("e9",)), "no call was accepted twice"),
        (make_findings(make_record(), counted_as_ended=2), "each is counted once"),
        (make_findings(make_record(), unannounced_calls=1), "no call goes out before its start is recorded"),
    ],
)
def test_each_promise_that_is_broken_is_seen_alone(findings: Findings, broken: str) -> None:
    assert broken_by(findings) == [broken]


def test_a_failure_is_seen_unless_it_is_one_that_was_to_be() -> None:
    findings = make_findings(make_record(status="failed", error_code="worker_lost"))
    assert not none_failed(findings).kept
    assert none_failed(findings, but=["worker_lost"]).kept
    assert none_failed(make_findings(make_record())).kept


def test_repeated_calls_are_compared_with_what_may_have_been_on_its_way() -> None:
    findings = make_findings(make_record(), repeated_calls=3)
    assert few_repeated(findings, at_most=3, why="").kept
    assert not few_repeated(findings, at_most=2, why="").kept


def test_a_call_that_the_journal_did_not_know_to_begin_is_seen() -> None:
    assert count_unannounced(make_record(), {"b1": 1}) == 0
    assert count_unannounced(make_record(), {"b1": 2}) == 1
    assert count_unannounced(make_record(), {"b1": 1, "b2": 1}) == 1


def test_repeated_calls_are_known_to_the_journal_too() -> None:
    assert count_announced_again([make_record(), make_record((*WHOLE[:4], *WHOLE[3:]))]) == 1


def test_a_recovery_is_the_pause_after_a_kill_that_cost_an_attempt() -> None:
    """The kill at 3.5 s interrupted it for 30 s; that at 40.1 s fell into a pause of its own making."""
    seconds = (0, 1, 2, 3, 33.5, 40, 41)
    kills = [BEGAN + timedelta(seconds=second) for second in (3.5, 40.1)]
    assert make_record(seconds=seconds, attempt=2).pauses_after(kills) == [30]
    assert make_record(seconds=seconds, attempt=1).pauses_after(kills) == []


def test_the_table_has_a_line_for_each_verdict_and_says_what_was_broken() -> None:
    kept = table_of([verdict_on(make_findings(make_record(), recoveries=(30.0, 32.0)))])
    heading, line, remark = kept.splitlines()
    assert " ".join(line.split()) == "worker-killed embedded 1 1 0 0 0 0 3 0 31.0 s 32.0 s kept"
    assert heading.split()[:4] == ["scenario", "target", "accepted", "completed"]
    assert remark.strip() == "worker-killed on embedded: a remark"
    broken = table_of([verdict_on(make_findings(make_record(), lost=("e2",)))])
    assert "BROKEN in worker-killed on embedded: nothing that was accepted is lost: 1 unknown (e2)" in broken
