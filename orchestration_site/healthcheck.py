"""The health check of a container: `python -m orchestration_site.healthcheck web`, or `worker`, or `beat`.

Exit status 0 when that role works. It runs every few seconds in every container, so it imports nothing of the site, and
reads the variables of the process alone. What is away of database and broker is `/readyz`'s to say: a process that
waits for them works.
"""

import http.client
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROLES = ("web", "worker", "beat")
ANSWER_SECONDS = 3.0
#: A worker touches its file every HEARTBEAT_SECONDS, a beat every second; with the database away, a little later.
MAX_AGE_SECONDS = 60.0


def main(words: Sequence[str]) -> int:
    if len(words) != 1 or words[0] not in ROLES:
        sys.stderr.write(f"Which role? One of {', '.join(ROLES)}.\n")
        return 2
    trouble = _trouble_of_web() if words[0] == "web" else _trouble_of_worker()
    if trouble:
        sys.stderr.write(f"{trouble}\n")
    return 1 if trouble else 0


def _trouble_of_web() -> str:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT") or 8000), timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"The web server does not answer: {error or type(error).__name__}"
    finally:
        connection.close()
    return "" if status == http.HTTPStatus.OK else f"The web server answers with {status}"


def _trouble_of_worker() -> str:
    path = Path(os.environ.get("ALIVE_FILE") or os.devnull)
    try:
        age = time.time() - path.stat().st_mtime if path.is_file() else None
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if age is None:
        return "Nothing has touched ALIVE_FILE yet." if os.environ.get("ALIVE_FILE") else "ALIVE_FILE is not set."
    return "" if age <= MAX_AGE_SECONDS else f"{path} was touched {age:.0f} s ago."


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
