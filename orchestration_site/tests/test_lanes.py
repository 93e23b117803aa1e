"""Lanes of `make test`: which run beside each other, and what is told of them."""

import re
import sys
from pathlib import Path

import pytest

from orchestration_site.environment import BASE_DIR
from orchestration_site.tests import lanes
from orchestration_site.tests.lanes import APPS, DURABLE, OF_UPGRADES, ON_RABBITMQ, Command, Lane, run_lanes

pytestmark = pytest.mark.without_database

MARK = re.compile(r"^(pytestmark = \[?|@|.*, )pytest\.mark\.durability", re.MULTILINE)
#: Makes the first file, and waits for the second.
MEET = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.01)
print("They met.")
"""


def python(code: str, *words: object) -> Command:
    return (sys.executable, "-c", code, *map(str, words))


def test_what_runs_aside_runs_beside_the_others_and_speaks_when_it_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, aside = tmp_path / "here", tmp_path / "aside"
    both = [
        Lane("beside", 30, (python(MEET, aside, here),), aside=True),
        Lane("first", 30, (python(MEET, here, aside),)),
        Lane("last", 30, (python("raise SystemExit('It broke.')"),)),
    ]
    outcomes = run_lanes(both)
    assert [outcome.lane for outcome in outcomes] == both
    assert [outcome.result.split(":")[0] for outcome in outcomes] == ["passed", "passed", "FAILED"]
    said = [line for line in capsys.readouterr().out.splitlines() if line and "python" not in line]
    headings = ["── beside (budget 30 s)", "── first (budget 30 s)", "── last (budget 30 s)"]
    assert sorted(said) == sorted(
        ["── beside runs aside from now on", *headings, "They met.", "They met.", "It broke."]
    )


def test_alone_it_speaks_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    [outcome] = run_lanes([Lane("beside", 30, (python("print('Hello.')"),), aside=True)])
    assert outcome.result == "passed"
    assert "runs aside" not in capsys.readouterr().out


def test_what_starts_while_it_is_interrupted_is_ended_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    class Interrupted:
        def is_set(self) -> bool:
            """Not yet when the lane looks first; then it is, before the command that starts is known to anybody."""
            asked.append(True)
            return len(asked) > 1

    monkeypatch.setattr(lanes, "INTERRUPTED", Interrupted())
    [outcome] = run_lanes([Lane("slow", 600, (python("import time; time.sleep(600)"),))])
    assert outcome.result.startswith("FAILED")
    assert outcome.seconds < 60


def test_no_file_that_kills_processes_is_left_out() -> None:
    tests = [path for app in APPS for path in (BASE_DIR / app).rglob("test_*.py")]
    killing = {str(path.relative_to(BASE_DIR)) for path in tests if MARK.search(path.read_text())}
    assert killing == {*DURABLE, ON_RABBITMQ, OF_UPGRADES}
