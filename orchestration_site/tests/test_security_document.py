"""`docs/security.md` tells the truth: its table is the one that is asked, and each rule names tests that are there."""

import re

from access.principal import ALL_VERBS
from access.rights import RIGHTS
from orchestration_site.environment import BASE_DIR
from orchestration_site.tests.references import CODE, TEST, problems_of

DOCUMENT = (BASE_DIR / "docs" / "security.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in DOCUMENT.splitlines() if line[:2] == "| "]
RULES = [row for row in ROWS if re.match(r"\d+\. ", row[0])]


def test_its_table_of_rights_is_the_one_that_is_asked() -> None:
    written = {
        (kind, action): tuple(rights.split(" or "))
        for kind, actions, rights in (row for row in ROWS if len(row) == 3 and row[0] in RIGHTS)
        for action in CODE.findall(actions)
    }
    assert written == {(kind, action): verbs for kind, rows in RIGHTS.items() for action, verbs in rows.items()}
    assert {verb for verbs in written.values() for verb in verbs} == ALL_VERBS


def test_each_of_the_thirteen_rules_has_what_holds_it_and_a_test() -> None:
    assert [int(rule.partition(".")[0]) for rule, _, _ in RULES] == list(range(1, 14))
    for rule, held_by, tests in RULES:
        assert held_by, rule
        assert CODE.findall(tests), f"{rule} is held by no test"
        assert all(TEST.fullmatch(test) for test in CODE.findall(tests)), f"{rule} names what is no test: {tests}"


def test_everything_that_the_rules_name_is_there() -> None:
    assert list(problems_of("\n".join(f"{held_by}\n{tests}" for _, held_by, tests in RULES))) == []
