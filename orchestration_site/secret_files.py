"""Secrets that the installation makes for itself, kept in the data folder, readable by its owner alone."""

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet


def read_or_create_secret(path: Path) -> str:
    """The text in the file; made of 64 random characters first when there is no file."""
    return _read_or_create(path, secrets.token_urlsafe(48))


def read_or_create_encryption_key(path: Path) -> str:
    """The Fernet key in the file; made first when there is no file."""
    return _read_or_create(path, Fernet.generate_key().decode())


def _read_or_create(path: Path, new: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _create(path, new)
    return path.read_text().strip()


def _create(path: Path, text: str) -> None:
    # Written whole and then linked: of two processes that start at once one wins, and neither reads half a key.
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(text + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
