"""Runs management commands one after the other in one process, so that a test does not wait for Django each time.

Each line of standard input is a JSON list of words; each line of standard output answers `{status, out, err}`.
"""

import io
import json
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout

import django
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestration_site.settings")
    django.setup()
    answers = sys.stdout
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


def answer(words: list[str]) -> dict[str, object]:
    """What `manage.py <words>` prints and ends with."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run(words, out, err)
    connections.close_all()
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


def run(words: list[str], out: io.StringIO, err: io.StringIO) -> int:
    try:
        call_command(*words, stdout=out, stderr=err)
    except CommandError as error:
        err.write(f"CommandError: {error}\n")
        return error.returncode
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception:  # noqa: BLE001 - the test that asked is shown it
        err.write(traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    main()
