"""One process at a time owns a data folder: a second one would run the first one's executions again."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stop_unless_written(folder: Path) -> Iterator[None]:
    """What is written there while the process starts; it ends with a sentence when that cannot be."""
    try:
        yield
    except OSError as error:
        sys.stderr.write(
            f"DATA_DIR={str(folder)!r} cannot be used: {error.filename}: {error.strerror}. It has to be a folder that"
            " the user of this process may write in.\n"
        )
        raise SystemExit(2) from None


class DataFolderInUse(Exception):
    """Another process runs on this data folder."""


@contextmanager
def hold_data_folder(folder: Path) -> Iterator[None]:
    """Own the folder until the block ends, or the process however it dies. Raises `DataFolderInUse`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "serve.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DataFolderInUse(_sentence(folder, owner=lock.read().strip())) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _sentence(folder: Path, *, owner: str) -> str:
    who = f"Process {owner} runs" if owner else "Another process runs"
    return f"{who} on {folder} already. Stop it, or type: DATA_DIR={folder}2 PORT=0 make run"
