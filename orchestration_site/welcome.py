"""What `make run` says when the site answers: where it is, how to sign in, and one call to paste."""

import json
import shlex
from pathlib import Path
from typing import Final

from deployments.endpoint_path import canonical_endpoint_path
from orchestration_site.environment import BASE_DIR
from orchestration_site.first_visit import ADMIN, FirstVisit

USUAL_FOLDER: Final = BASE_DIR / "var"


def welcome_lines(url: str, first_visit: FirstVisit | None, *, data_dir: Path) -> list[str]:
    """The lines, without their ends. What they tell to type is about the site in that folder."""
    of_site = "" if data_dir == USUAL_FOLDER else f" DATA_DIR={shlex.quote(str(data_dir))}"
    return [
        "",
        f"The site is running:  {url}/",
        f"API and its docs:     {url}/api/docs",
        f"Sign in as {ADMIN}:     {_password_words(first_visit, of_site)}",
        *_call_lines(url, first_visit, of_site),
        "Stop it with Ctrl-C.",
        "",
    ]


def _password_words(first_visit: FirstVisit | None, of_site: str) -> str:
    if first_visit is None:
        return f"with your password. If it is lost, type: make password{of_site}"
    if first_visit.password is None:
        return "with the password that ADMIN_PASSWORD gave"
    return f"{first_visit.password}   (shown this once; another one: make password{of_site})"


def _call_lines(url: str, first_visit: FirstVisit | None, of_site: str) -> list[str]:
    if first_visit is None or not first_visit.samples:
        return []
    calls = [(json.dumps(given), sample) for sample in first_visit.samples for given in sample.inputs]
    body, sample = min(calls, key=lambda call: len(call[0]))
    key = f"make -s key NAME=first{of_site}"
    headers = f"""-H "Authorization: Bearer $({key})" -H 'Content-Type: application/json'"""
    return [
        f"{len(first_visit.samples)} sample designs are deployed. Call one, from another terminal in this folder:",
        f"  curl -sS {url}{canonical_endpoint_path(sample.endpoint_path)} {headers} -d {shlex.quote(body)}",
    ]
