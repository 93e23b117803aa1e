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
#: Speaks, waits for the other to have spoken, and speaks again.
ASIDE = """
import pathlib, sys, time
print("Before.", flush=True)
pathlib.Path(sys.argv[1]).touch()
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.01)
print("After.")
"""
#: Waits for that, and speaks in between.
HERE = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
print("Meanwhile.", flush=True)
time.sleep(0.2)
pathlib.Path(sys.argv[2]).touch()
"""


def python(code: str, *words: object) -> Command:
    return (sys.executable, "-c", code, *map(str, words))


def test_what_runs_aside_runs_beside_the_others_and_speaks_when_it_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tmp_path / "begun", tmp_path / "met"
    both = [
        Lane("beside", 30, (python(ASIDE, *files),), aside=True),
        Lane("first", 30, (python(HERE, *files),)),
        Lane("last", 30, (python("raise SystemExit('It broke.')"),)),
    ]
    outcomes = run_lanes(both)
    assert [outcome.lane for outcome in outcomes] == both
    assert [outcome.result.split(":")[0] for outcome in outcomes] == ["passed", "passed", "FAILED"]
    said = [line for line in capsys.readouterr().out.splitlines() if line and "python" not in line]
    at = said.index("── beside (budget 30 s)")
    assert said[at : at + 3] == ["── beside (budget 30 s)", "Before.", "After."], "not mixed with what another says"
    others = said[:at] + said[at + 3 :]
    others.remove("── beside runs aside from now on")
    assert others == ["── first (budget 30 s)", "Meanwhile.", "── last (budget 30 s)", "It broke."]


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
    [outcome] = run_lanes([Lane("slow", 30, (python("import time; time.sleep(600)"),))])
    assert outcome.result.startswith("FAILED")
    assert outcome.seconds < 60


def test_no_file_that_kills_processes_is_left_out() -> None:
    tests = [path for app in APPS for path in (BASE_DIR / app).rglob("test_*.py")]
    killing = {str(path.relative_to(BASE_DIR)) for path in tests if MARK.search(path.read_text())}
    assert killing == {*DURABLE, ON_RABBITMQ, OF_UPGRADES}
