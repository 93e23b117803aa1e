"""The release before this one, from which upgrades are tried: its files, out of this repository's history."""

import io
import subprocess
import tarfile
from pathlib import Path

from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.servers import ServerMissing

# To be set anew with each release.
PREVIOUS_RELEASE = "0.1.0"
PREVIOUS_COMMIT = "8a926695dc239858df7536ac598677486912f022"
#: The last of its migrations.
LAST_MIGRATIONS = {
    "access": "0005_audit_way_of_commands",
    "deployments": "0014_what_keys_hold",
    "designs": "0003_bounded_calls",
}


class PreviousReleaseMissing(ServerMissing):
    """The repository is not there, or holds no history that goes back so far; the message says what to type."""


def find_previous_release() -> None:
    """Raises `PreviousReleaseMissing`."""
    try:
        _git("cat-file", "-e", f"{PREVIOUS_COMMIT}^{{commit}}")
    except (OSError, subprocess.CalledProcessError):
        raise PreviousReleaseMissing(
            f"there is no commit {PREVIOUS_COMMIT[:7]} ({PREVIOUS_RELEASE}) here. Type: git fetch --unshallow"
        ) from None


def extract_previous_release(folder: Path) -> None:
    """Put its files into that folder. Raises `PreviousReleaseMissing`."""
    find_previous_release()
    with tarfile.open(fileobj=io.BytesIO(_git("archive", PREVIOUS_COMMIT))) as archive:
        archive.extractall(folder, filter="data")


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=BASE_DIR, capture_output=True, check=True).stdout  # noqa: S603, S607 - our own words
