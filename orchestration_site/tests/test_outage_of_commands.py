"""Whatever an operator types while the database is away, or in the wrong environment, is answered with a sentence."""

import subprocess
from pathlib import Path

import pytest

from orchestration_site.proving.processes import MANAGE, private_environment

#: Everything that reads or changes the site's rows; those that act as the API does are of one class.
COMMANDS = (
    ["workers"],
    ["retain", "--dry-run"],
    ["export_history"],
    ["verify_audit"],
    ["reencrypt"],
    ["load_samples"],
    ["reset_admin_password"],
    ["create_key", "x"],
    ["export"],
)

pytestmark = [pytest.mark.either_database, pytest.mark.long]


@pytest.mark.parametrize("url", ["postgres://u:S3cret@127.0.0.1:1/x", ""], ids=["away", "empty"])
def test_it_says_which_database_and_what_to_do(url: str, tmp_path: Path) -> None:
    env = private_environment(tmp_path, DATABASE_URL=url)
    running = [start(words, env) for words in COMMANDS]
    for words, each in zip(COMMANDS, running, strict=True):
        out, told = each.communicate(timeout=60)
        assert (each.returncode, out) == (1, ""), f"{words}: {told}"
        assert "cannot be used" in told, words
        assert "make run" in told or "manage.py doctor" in told, told
        assert "Traceback" not in told, words
        assert "S3cret" not in told, words


def test_what_makes_the_tables_says_so_too(tmp_path: Path) -> None:
    env = private_environment(tmp_path, DATABASE_URL="postgres://u:S3cret@127.0.0.1:1/x")
    setup = start(["setup"], env)
    out, told = setup.communicate(timeout=60)
    assert (setup.returncode, out) == (1, "")
    assert "PostgreSQL x at 127.0.0.1 cannot be used" in told
    assert "Traceback" not in told


def start(words: list[str], env: dict[str, str]) -> "subprocess.Popen[str]":
    """All at once: each takes a second."""
    command = [*MANAGE, *words]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
