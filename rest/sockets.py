"""How a WebSocket is refused before it has shown anything: with the problem that an HTTP request would get."""

from http import HTTPStatus
from typing import Any

from asgiref.typing import ASGISendCallable

from rest.problems import PROBLEM_MEDIA_TYPE, ApiProblem, problem_bytes

#: A socket that is refused with status 4xx is closed with the code 4000 + status.
CODES_OF_REFUSALS = 4_000
TRY_AGAIN_LATER = 1_013
INTERNAL_ERROR = 1_011
#: What RFC 6455 leaves for a reason beside the code.
MAX_REASON_BYTES = 123


async def refuse_socket(scope: Any, send: ASGISendCallable, problem: ApiProblem, *, by_code: bool) -> None:
    """Refuse a socket that is not accepted yet.

    Over HTTP, as problem+json. With `by_code` it is accepted and closed at once with the problem's code: browsers show
    a script no status of a handshake that failed, and it could not tell "sign in again" from a network that is away.
    """
    if by_code:
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        await send({"type": "websocket.close", "code": code_of(problem), "reason": fit_reason(str(problem.detail))})
    elif "websocket.http.response" in (scope.get("extensions") or {}):
        await _answer(send, problem)
    else:
        await send({"type": "websocket.close", "code": code_of(problem), "reason": None})


def code_of(problem: ApiProblem) -> int:
    """The code that a socket is closed with where a request would get this problem."""
    if HTTPStatus.BAD_REQUEST <= problem.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return CODES_OF_REFUSALS + problem.status_code
    return TRY_AGAIN_LATER if problem.status_code == HTTPStatus.SERVICE_UNAVAILABLE else INTERNAL_ERROR


def fit_reason(sentence: str) -> str:
    """As much of the sentence as a close frame can hold."""
    return sentence.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


async def _answer(send: ASGISendCallable, problem: ApiProblem) -> None:
    body = problem_bytes(problem)
    headers = [
        (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    start: Any = {"type": "websocket.http.response.start", "status": problem.status_code, "headers": headers}
    end: Any = {"type": "websocket.http.response.body", "body": body, "more_body": False}
    await send(start)
    await send(end)
