"""`docs/guarantees.md` tells the truth: each promise names tests and scenarios that are there, and none is left out."""

import re

from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.scenarios import SCENARIOS
from orchestration_site.tests.references import CODE, TEST, problems_of

DOCUMENT = (BASE_DIR / "docs" / "guarantees.md").read_text()
ROWS = [line.strip("|").split(" | ") for line in DOCUMENT.splitlines() if line.startswith("| ")]
PROMISES = [row for row in ROWS if row[0].strip() != "promise"]
TYPED = re.compile(r"--scenario (\S+)")


def scenarios_of(row: list[str]) -> set[str]:
    return set(CODE.findall(row[3]))


def test_each_promise_has_what_it_rests_on_and_a_test() -> None:
    assert len(PROMISES) > 10
    for promise, rests_on, tests, _ in PROMISES:
        assert rests_on.strip(), promise
        assert CODE.findall(tests), f"{promise} is held by no test"
        assert all(TEST.fullmatch(test) for test in CODE.findall(tests)), f"{promise} names what is no test: {tests}"


def test_every_test_that_is_named_is_there() -> None:
    assert list(problems_of("\n".join(row[2] for row in PROMISES))) == []


def test_every_scenario_that_is_named_is_there_and_each_holds_a_promise() -> None:
    named = set().union(*(scenarios_of(row) for row in PROMISES))
    assert named == set(SCENARIOS)
    assert set(TYPED.findall(DOCUMENT)) - set(SCENARIOS) == {"all"}


def test_it_says_what_is_not_guaranteed() -> None:
    assert "## What is not guaranteed" in DOCUMENT
