"""What `make run` says when the site answers: where it is, how to sign in, and one call that works as pasted."""

import json
import shlex
from typing import Any

from deployments.input_schemas import input_schema_of
from deployments.models import Deployment
from executor.json_types import JsonObject
from orchestration_site.first_visit import ADMIN, FirstVisit


def welcome_lines(url: str, first_visit: FirstVisit | None) -> list[str]:
    """The lines, without their ends."""
    return [
        "",
        f"The site is running:  {url}/",
        f"API and its docs:     {url}/api/docs",
        f"Sign in as {ADMIN}:     {_password_words(first_visit)}",
        *_call_lines(url),
        "Stop it with Ctrl-C.",
        "",
    ]


def _password_words(first_visit: FirstVisit | None) -> str:
    if first_visit is None:
        return "with your password. If it is lost, type: make password"
    if first_visit.password is None:
        return "with the password that ADMIN_PASSWORD gave"
    return f"{first_visit.password}   (shown this once; another one: make password)"


def _call_lines(url: str) -> list[str]:
    deployments = Deployment.objects.live().filter(status=Deployment.Status.ACTIVE)
    if (deployment := deployments.order_by("created_at", "id").first()) is None:
        return []
    example = _example_input(input_schema_of(deployment.version_id))
    headers = """-H "Authorization: Bearer $(make -s key NAME=first)" -H 'Content-Type: application/json'"""
    return [
        "Call an endpoint, from another terminal in this folder:",
        f"  curl -sS {url}{deployment.endpoint_path} {headers} -d {shlex.quote(json.dumps(example))}",
    ]


def _example_input(schema: JsonObject | None) -> Any:
    examples = (schema or {}).get("examples")
    return examples[0] if isinstance(examples, list) and examples else {}
