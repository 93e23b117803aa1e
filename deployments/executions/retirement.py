"""A process that has outgrown its bound of memory makes way for a fresh one, which begins in its place.

It stops as if it had been told to, and then starts itself anew under the same process id: whoever supervises it, if
anybody does, has nothing to do. Celery has the like for its pool of processes alone; executions run in threads.
"""

import atexit
import logging
import os
import resource
import signal
import sys
from pathlib import Path

log = logging.getLogger(__name__)

_PAGES = Path("/proc/self/statm")
_KILOBYTE = 1_024


def resident_bytes() -> int:
    """The memory that this process has in use; where the system does not tell (no /proc), the most that it ever had."""
    try:
        return int(_PAGES.read_text().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * _KILOBYTE


class Retirement:
    """Whether this process is to be followed by a fresh one when it has ended."""

    def __init__(self) -> None:
        self._is_wanted = False
        self._stops = 0

    def begin(self) -> None:
        """Have this process stop, with all that stopping it means, and be followed."""
        self._is_wanted = True
        atexit.register(self.follow)
        os.kill(os.getpid(), signal.SIGTERM)

    def note_stop(self) -> None:
        """The process was told to stop. At a second time it is not the retirement alone that wants it to."""
        self._stops += 1

    @property
    def is_followed(self) -> bool:
        return self._is_wanted and self._stops <= 1

    def follow(self) -> None:
        """Become the fresh process, the last thing that this one does. Returns where none is to follow."""
        if not self.is_followed:
            return
        log.info("A fresh process begins in the place of the one that had outgrown its bound.")
        sys.stdout.flush()
        sys.stderr.flush()
        # With the words that this process itself was started with.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # nosec B606


retirement = Retirement()
