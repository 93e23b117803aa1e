"""`docs/original-map.md` tells the truth: no line is left out, and each file, name and test in it is there."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from orchestration_site.environment import BASE_DIR
from orchestration_site.tests.original_description import ORIGINAL
from orchestration_site.tests.references import CODE, NAME, TEST, is_there, problems_of

MAP = (BASE_DIR / "docs" / "original-map.md").read_text()
PLANNED = "planned"


@dataclass(frozen=True)
class Row:
    """A line of a table: what the original says, where it is here, which tests hold it, what differs."""

    section: str
    original: str
    here: str
    test: str
    difference: str

    def __str__(self) -> str:
        return f"{self.section}: {self.original}"


def rows_of(text: str) -> Iterator[Row]:
    chapter = section = ""
    for line in text.splitlines():
        if line.startswith("## "):
            chapter = section = line.removeprefix("## ").replace("`", "")
        elif line.startswith("### "):
            section = f"{chapter} / {line.removeprefix('### ').replace('`', '')}"
        elif line.startswith("| ") and not line.startswith("| original |"):
            original, here, test, difference = line.removeprefix("| ").removesuffix("|").split(" |", 3)
            yield Row(section, original.replace("`", ""), here.strip(), test.strip(), difference.strip())


ROWS = list(rows_of(MAP))


def test_every_line_of_the_original_has_its_row_in_its_order() -> None:
    mapped: dict[str, list[str]] = {}
    for row in ROWS:
        mapped.setdefault(row.section, []).append(row.original)
    assert list(mapped) == list(ORIGINAL)
    for section, items in ORIGINAL.items():
        assert mapped[section] == items


def test_every_file_name_and_test_in_the_map_is_there() -> None:
    assert list(problems_of(MAP)) == [], "Mend docs/original-map.md, or bring back what it names."


def test_what_is_not_planned_says_where_it_is_and_which_test_holds_it() -> None:
    for row in ROWS:
        places = CODE.findall(row.here)
        assert all(NAME.fullmatch(place) or (BASE_DIR / place).is_file() for place in places), f"{row}: {row.here}"
        assert bool(places) != (row.here == PLANNED), f"{row} is nowhere and is not planned"
        tests = CODE.findall(row.test)
        assert all(TEST.fullmatch(test) for test in tests), f"{row} names what is no test: {row.test}"
        assert bool(tests) != (row.test == PLANNED), f"{row} is held by no test and is not planned"


def test_what_is_planned_has_nothing_in_the_code_that_the_map_hides() -> None:
    """When what the original calls by a name has come, the map may not go on calling it planned."""
    sources = [path for app in ("deployments", "orchestration_site") for path in (BASE_DIR / app).rglob("*.py")]
    product = "\n".join(path.read_text() for path in sources if "tests" not in path.parts)
    is_planned = any("DeploymentScheduler" in row.original and row.here == PLANNED for row in ROWS)
    assert is_planned == ("class DeploymentScheduler" not in product)


@pytest.mark.parametrize(
    "text",
    [
        "`deployments/tests/test_lifecycle.py::test_nobody_wrote_this`",
        "`deployments/tests/test_nobody_wrote.py::test_this`",
        "`deployments/tests/test_lifecycle.py::claim` `deployments/tests/test_lifecycle.py::nothing`",
        "`deployments/tests/test_api_table.py::test_respond_async_is_a_202_at_once`",
        "`deployments/tests/test_api_table.py::TestCalling::test_nobody_wrote_this`",
        "`deployments/tests/test_api_table.py::TestNothing::test_respond_async_is_a_202_at_once`",
        "`deployments/tests/test_lifecycle.py::test_a_call_has_one_recorded_result[x]`",
        "`tests/test_lifecycle.py::test_an_ended_execution_is_final`",
        "`deployments/deploying.py::nothing`",
        "`deployments/models/deployment.py::Deployment.nothing`",
        "`deployments/nothing.py`",
        "`nothing/`",
    ],
)
def test_what_is_missing_is_seen(text: str) -> None:
    assert len(list(problems_of(text))) == 1


def test_an_inherited_test_and_a_field_without_a_value_are_seen() -> None:
    assert is_there("orchestration_site/environment.py::Environment.max_concurrent_executions")
    assert is_there("executor/results.py::ExecutionFailure.code")
    inherited = "deployments/tests/test_database_journal.py::TestDatabaseJournal::"
    module = importlib.import_module("executor.tests.journal_contract")
    promises = [name for name in vars(module.JournalContract) if name.startswith("test_")]
    assert promises
    assert all(is_there(inherited + name) for name in promises)


def test_a_row_that_is_left_out_is_seen() -> None:
    shorter = "\n".join(line for line in MAP.splitlines() if not line.startswith("| `interval_seconds` |"))
    assert len(list(rows_of(shorter))) == len(ROWS) - 1
