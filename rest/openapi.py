"""What every operation of the OpenAPI document has: its problems."""

from typing import Any

from rest.problems import PROBLEM_MEDIA_TYPE


def add_problem_responses(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A drf-spectacular hook: every operation may answer with a problem."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    answer = {"$ref": "#/components/schemas/Problem"}
    components.setdefault("responses", {})["Problem"] = {
        "description": "An RFC 9457 problem.",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": answer}},
    }
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            if isinstance(operation, dict) and "responses" in operation:
                _complete_responses(operation["responses"], answer)
    return result


def strip_trailing_slashes(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A drf-spectacular hook: both forms answer, and the document names the one without."""
    result["paths"] = {path.rstrip("/"): operations for path, operations in result.get("paths", {}).items()}
    return result


def _complete_responses(responses: dict[str, Any], problem: dict[str, str]) -> None:
    """The problems that a view describes get their schema; all others are the default answer."""
    for response in responses.values():
        if PROBLEM_MEDIA_TYPE in response.get("content", {}):
            response["content"][PROBLEM_MEDIA_TYPE]["schema"] = problem
    responses.setdefault("default", {"$ref": "#/components/responses/Problem"})


_TEXT = {"type": "string"}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "An RFC 9457 problem. Some types have more members.",
    "required": ["type", "title", "status", "detail", "errors", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "/problems/<slug>, stable."},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence that says what to do."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {"pointer": _TEXT, "code": _TEXT, "message": _TEXT},
            },
        },
        "request_id": {"type": ["string", "null"], "description": "Quote it when you report the problem."},
    },
}
