"""What an endpoint is, for the people and the programs that call it."""

import json
import shlex
from typing import Any

from django.conf import settings
from rest_framework.request import Request

from deployments.api.example_inputs import example_input
from deployments.api.rate_limit_headers import WORDS
from deployments.models import Deployment
from executor.json_types import JsonObject
from rest.openapi import PROBLEM_SCHEMA

_ANSWER: JsonObject = {
    "type": "object",
    "required": ["execution_id", "status", "result", "usage", "cost", "duration_ms"],
    "properties": {
        "execution_id": {"type": "string", "format": "uuid"},
        "status": {"const": "completed"},
        "result": {"description": "The design's output."},
        "usage": {"type": ["object", "null"]},
        "cost": {"type": ["string", "null"], "description": "USD; null: no price is known."},
        "duration_ms": {"type": "integer"},
    },
}
_ACCEPTED: JsonObject = {
    "type": "object",
    "required": ["execution_id", "status", "url"],
    "properties": {
        "execution_id": {"type": "string", "format": "uuid"},
        "status": {"enum": ["queued", "running"]},
        "url": {"type": "string"},
    },
}
#: What stands for the key in each call of `calls_of`, and what takes its place when there is one.
KEY_PLACES = {
    "curl": ("$API_KEY", "{key}"),
    "python": ('os.environ["API_KEY"]', '"{key}"'),
    "javascript": ("${process.env.API_KEY}", "{key}"),
}
_RETRY_AFTER: JsonObject = {
    "Retry-After": {
        "description": "Seconds after which the limit may let in the next call.",
        "schema": {"type": "integer"},
    }
}
_LIMITS: JsonObject = {name: {"description": words, "schema": {"type": "string"}} for name, words in WORDS.items()}
_ANY_OBJECT: JsonObject = {"type": "object"}
#: Keywords whose values are data, in which nothing is a reference.
_DATA_KEYWORDS = frozenset({"const", "enum", "default", "examples"})
#: Keywords whose keys are names, not keywords.
_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def describe_endpoint(deployment: Deployment, request: Request) -> dict[str, Any]:
    """The deployment for its callers. Needs the version's document."""
    document = deployment.version.document
    url = request.build_absolute_uri(deployment.endpoint_path)
    example = example_input(document.get("input_schema"))
    return {
        "endpoint_path": deployment.endpoint_path,
        "url": url,
        "design_name": deployment.design_name,
        "description": document.get("description", ""),
        "version": deployment.version.number,
        "status": deployment.status,
        "status_reason": deployment.status_reason or None,
        "input_schema": document.get("input_schema"),
        "example": example,
        "calls": calls_of(url, example),
        "openapi_url": f"{url}/openapi.json",
    }


def calls_of(url: str, example: JsonObject) -> dict[str, str]:
    """The call in curl, Python and JavaScript, as pasted; the key comes from the environment variable API_KEY."""
    body = json.dumps(example, ensure_ascii=False)
    indented = json.dumps(example, ensure_ascii=False, indent=2)
    return {
        "curl": f"curl -X POST {shlex.quote(url)} \\\n"
        '  -H "Authorization: Bearer $API_KEY" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  --data-binary {shlex.quote(body)}",
        "python": "import json, os, urllib.request\n\n"
        "request = urllib.request.Request(\n"
        f"    {url!r},\n"
        f"    data=json.dumps({example!r}).encode(),\n"
        '    headers={"Authorization": "Bearer " + os.environ["API_KEY"], "Content-Type": "application/json"},\n'
        ")\n"
        "print(json.load(urllib.request.urlopen(request))['result'])",
        "javascript": f"const response = await fetch({json.dumps(url)}, {{\n"
        '  method: "POST",\n'
        '  headers: {Authorization: `Bearer ${process.env.API_KEY}`, "Content-Type": "application/json"},\n'
        f"  body: JSON.stringify({indented}),\n"
        "});\n"
        "console.log((await response.json()).result);",
    }


def endpoint_openapi(deployment: Deployment, request: Request) -> dict[str, Any]:
    """OpenAPI 3.1 of the one endpoint. Needs the version's document."""
    document = deployment.version.document
    schema = document.get("input_schema") or _ANY_OBJECT
    return {
        "openapi": "3.1.0",
        "info": {
            "title": deployment.design_name,
            "description": document.get("description", ""),
            "version": str(deployment.version.number),
        },
        "servers": [{"url": request.build_absolute_uri("/").rstrip("/")}],
        "paths": {deployment.endpoint_path: {"post": _operation(example_input(document.get("input_schema")))}},
        "security": [{"apiKey": []}],
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Input": embed_schema(schema, "#/components/schemas/Input"),
                "Answer": _ANSWER,
                "Accepted": _ACCEPTED,
                "Problem": PROBLEM_SCHEMA,
            },
        },
    }


def embed_schema(schema: JsonObject, place: str) -> JsonObject:
    """The schema as a part of another document at `place`: its local references lead there."""
    embedded: JsonObject = _embed(schema, place)
    for keyword in ("$id", "$schema"):
        embedded.pop(keyword, None)
    return embedded


def _embed(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_embed(item, place) for item in value]
    if not isinstance(value, dict):
        return value
    return {keyword: _embed_member(keyword, member, place) for keyword, member in value.items()}


def _embed_member(keyword: str, member: Any, place: str) -> Any:
    if keyword in _DATA_KEYWORDS:
        return member
    if keyword in _NAMED_SCHEMAS and isinstance(member, dict):
        return {name: _embed(schema, place) for name, schema in member.items()}
    if keyword == "$ref" and isinstance(member, str):
        return place + member.removeprefix("#")
    return _embed(member, place)


def _operation(example: JsonObject) -> dict[str, Any]:
    wait = settings.ENVIRONMENT.wait_seconds
    return {
        "operationId": "call",
        "summary": "Execute the design with the body as its input",
        "parameters": [
            {
                "name": "Prefer",
                "in": "header",
                "schema": {"type": "string"},
                "description": f"`wait=N` waits N seconds for the result ({wait} without it), `respond-async` not at"
                " all.",
            },
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}},
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Input"}, "example": example}},
        },
        "responses": {
            "200": _response("The result.", "application/json", "Answer", _LIMITS),
            "202": _response("The execution goes on at Location.", "application/json", "Accepted", _LIMITS),
            "429": _response(
                "A limit lets no more in for now.", "application/problem+json", "Problem", _RETRY_AFTER | _LIMITS
            ),
            "default": _response("What went wrong.", "application/problem+json", "Problem"),
        },
    }


def _response(description: str, media_type: str, schema: str, headers: JsonObject | None = None) -> dict[str, Any]:
    return {
        "description": description,
        **({"headers": headers} if headers else {}),
        "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
