"""A first start sets up what it can, and says in a sentence what it cannot."""

import subprocess
from pathlib import Path

import pytest

from orchestration_site.proving.processes import MANAGE, private_environment

pytestmark = [pytest.mark.either_database, pytest.mark.long]

UNKNOWN = "openai:gpt-4o-mini"


def run_manage(folder: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    env = private_environment(folder, **variables)
    return subprocess.run([*MANAGE, *words], env=env, capture_output=True, text=True, check=False)  # noqa: S603


def test_a_default_model_without_an_account_costs_the_samples_and_nothing_else(tmp_path: Path) -> None:
    first = run_manage(tmp_path, "setup", DEFAULT_MODEL=UNKNOWN)
    assert (first.returncode, "User admin, password" in first.stdout) == (0, True), first.stderr
    assert "The samples are not deployed: There is no account 'openai'" in first.stderr
    assert "type: manage.py load_samples" in first.stderr
    assert "Traceback" not in first.stderr
    refused = run_manage(tmp_path, "load_samples", DEFAULT_MODEL=UNKNOWN)
    assert (refused.returncode, "no account 'openai'" in refused.stderr) == (1, True)
    mended = run_manage(tmp_path, "load_samples")
    assert f"Of the site in SQLite at {tmp_path}" in mended.stderr
    assert (mended.returncode, len(mended.stdout.split())) == (0, 10)
