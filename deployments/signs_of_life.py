"""What a worker and a beat show of themselves: they listen on no port that a health check could ask."""

import functools
import logging

from django.conf import settings

log = logging.getLogger(__name__)


def show_alive() -> None:
    """Touch ALIVE_FILE, if there is one. It never fails: the work goes on where the file cannot be written."""
    if (path := settings.ENVIRONMENT.alive_file) is None:
        return
    try:
        path.touch()
    except OSError as error:
        _complain_once(f"ALIVE_FILE={str(path)!r} cannot be touched, so health checks will fail: {error.strerror}")


@functools.cache
def _complain_once(sentence: str) -> None:
    log.warning("%s", sentence)
