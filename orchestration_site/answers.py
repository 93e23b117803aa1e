"""Answers of what stands in front of Django, which has neither its responses nor its middleware."""

from asgiref.typing import ASGISendCallable

from rest.problems import PROBLEM_MEDIA_TYPE, ApiProblem, problem_bytes


async def send_answer(send: ASGISendCallable, status: int, body: bytes, content_type: str, /, **headers: str) -> None:
    """A whole answer, which nobody is to keep. Of a header's name each `_` is a `-`."""
    lines = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": lines, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_problem(send: ASGISendCallable, problem: ApiProblem) -> None:
    """The problem, with its headers."""
    await send_answer(send, problem.status_code, problem_bytes(problem), PROBLEM_MEDIA_TYPE, **problem.headers)
