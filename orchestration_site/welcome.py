"""What `make run` says when the site answers: where it is, how to sign in, and one call to paste."""

import json
import shlex

from deployments.endpoint_path import canonical_endpoint_path
from orchestration_site.first_visit import ADMIN, FirstVisit


def welcome_lines(url: str, first_visit: FirstVisit | None) -> list[str]:
    """The lines, without their ends."""
    return [
        "",
        f"The site is running:  {url}/",
        f"API and its docs:     {url}/api/docs",
        f"Sign in as {ADMIN}:     {_password_words(first_visit)}",
        *_call_lines(url, first_visit),
        "Stop it with Ctrl-C.",
        "",
    ]


def _password_words(first_visit: FirstVisit | None) -> str:
    if first_visit is None:
        return "with your password. If it is lost, type: make password"
    if first_visit.password is None:
        return "with the password that ADMIN_PASSWORD gave"
    return f"{first_visit.password}   (shown this once; another one: make password)"


def _call_lines(url: str, first_visit: FirstVisit | None) -> list[str]:
    if first_visit is None or not first_visit.samples:
        return []
    calls = [(json.dumps(given), sample) for sample in first_visit.samples for given in sample.inputs]
    body, sample = min(calls, key=lambda call: len(call[0]))
    headers = """-H "Authorization: Bearer $(make -s key NAME=first)" -H 'Content-Type: application/json'"""
    return [
        f"{len(first_visit.samples)} sample designs are deployed. Call one, from another terminal in this folder:",
        f"  curl -sS {url}{canonical_endpoint_path(sample.endpoint_path)} {headers} -d {shlex.quote(body)}",
    ]
