"""What `make` says on a machine that lacks something, and that it does nothing twice."""

import shutil
import subprocess
from pathlib import Path

import pytest

from orchestration_site.environment import BASE_DIR

LOCK = "requirements.txt"
DEV_LOCK = "requirements-dev.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (LOCK, DEV_LOCK):
        shutil.copy(BASE_DIR / name, tmp_path / name)
    return tmp_path


def make_python(folder: Path, *, missing: str) -> Path:
    """A `python3` for which whatever mentions `missing` fails."""
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\ncase "$*" in *{missing}*) exit 1;; esac\nexit 0\n')
    python.chmod(0o755)
    return python


def install(folder: Path, lock: str, python: str) -> subprocess.CompletedProcess[str]:
    command = [str(BASE_DIR / ".ci/install"), "venv", lock, python]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own words


def test_without_python_one_sentence_says_what_to_type(folder: Path) -> None:
    done = install(folder, LOCK, str(folder / "no-python"))

    assert done.returncode == 1
    assert done.stderr == "Python 3.11 or newer is needed. On Debian 12, type: sudo apt install python3 python3-venv\n"


def test_an_older_python_gets_the_same_sentence(folder: Path) -> None:
    done = install(folder, LOCK, str(make_python(folder, missing="version_info")))

    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr


def test_without_venv_one_sentence_says_what_to_type(folder: Path) -> None:
    done = install(folder, LOCK, str(make_python(folder, missing="ensurepip")))

    assert done.returncode == 1
    assert done.stderr == "Python's venv module is missing. Type: sudo apt install python3-venv\n"
    assert not (folder / "venv").exists()


@pytest.mark.parametrize(("installed", "asked"), [(LOCK, LOCK), (DEV_LOCK, DEV_LOCK), (DEV_LOCK, LOCK)])
def test_what_is_installed_already_is_not_installed_again(folder: Path, installed: str, asked: str) -> None:
    (folder / "venv").mkdir()
    shutil.copy(folder / installed, folder / "venv" / f"installed-{installed}")

    done = install(folder, asked, "/bin/false")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_changed_lock_file_is_installed(folder: Path) -> None:
    (folder / "venv").mkdir()
    (folder / "venv" / f"installed-{LOCK}").write_text("other==1.0\n")

    done = install(folder, LOCK, "/bin/false")

    assert done.returncode == 1
    assert "Python 3.11" in done.stderr
