"""The apps' static files, copied to where the web server reads them."""

import fcntl
import hashlib
import shutil
from pathlib import Path

from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command


def collect_static_files(root: Path) -> None:
    """Copy them to `root` when one is new, gone or changed. Of processes that start at once, one does it."""
    root.parent.mkdir(parents=True, exist_ok=True)
    stamp = root.with_name("static.stamp")
    with root.with_name("static.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = _state_of_sources()
        if root.is_dir() and stamp.is_file() and stamp.read_text() == state:
            return
        shutil.rmtree(root, ignore_errors=True)
        call_command("collectstatic", verbosity=0, interactive=False)
        stamp.write_text(state)


def _state_of_sources() -> str:
    seen = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            found = Path(storage.path(path)).stat()
            seen.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return seen.hexdigest()
