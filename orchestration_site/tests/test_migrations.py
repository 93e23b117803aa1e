"""Migrations since the previous release only expand: its processes go on beside this one's while an upgrade lasts.

What no release needs any more (a column, a table) is dropped by the release after the one that has stopped using it.
"""

from collections.abc import Iterable

import pytest
from django.db.migrations.loader import MigrationLoader
from django_migration_linter import MigrationLinter

from orchestration_site.environment import BASE_DIR
from orchestration_site.tests.previous_release import LAST_MIGRATIONS

#: What the linter says is judged on PostgreSQL: on SQLite Django copies whole tables.
#: What is made concurrently is no part of a transaction.
pytestmark = [pytest.mark.distributed, pytest.mark.django_db(transaction=True)]

#: An index is to be made `CONCURRENTLY`, or its table cannot be written to for as long as that takes.
LOCKING = ("CREATE_INDEX", "CREATE_INDEX_EXCLUSIVE", "DROP_INDEX", "REINDEX")


def lint(names: Iterable[tuple[str, str]]) -> MigrationLinter:
    linter = MigrationLinter(str(BASE_DIR), no_cache=True, warnings_as_errors_tests=LOCKING)
    for app, name in names:
        linter.lint_migration(linter.migration_loader.get_migration(app, name))
    return linter


def ours() -> list[tuple[str, str]]:
    return sorted(key for key in MigrationLoader(None).disk_migrations if key[0] in LAST_MIGRATIONS)


def test_the_previous_release_can_go_on_beside_the_migrations_of_this_one(capsys: pytest.CaptureFixture[str]) -> None:
    linter = lint((app, name) for app, name in ours() if name > LAST_MIGRATIONS[app])
    assert not linter.has_errors, (
        f"{capsys.readouterr().out}\nA new column is to be nullable or to have a db_default; an index of a table that"
        " is there is to be made concurrently; nothing is renamed, and dropped only by the next release."
    )


@pytest.mark.parametrize("name", ["0003_deployment_updated_by", "0008_daily_use_by_day"], ids=["a column", "an index"])
def test_what_would_stop_it_is_seen(name: str) -> None:
    """In 0.1.0 itself, before which there was nothing to upgrade from."""
    assert lint([("deployments", name)]).has_errors


def test_the_previous_release_ended_where_it_is_said_to() -> None:
    assert set(LAST_MIGRATIONS.items()) <= set(ours())
