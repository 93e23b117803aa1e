"""Errors as RFC 9457 problems: `{type, title, status, detail, errors, request_id, …}`, `application/problem+json`.

A `type` is `/problems/<slug>` and never changes; `detail` is a sentence that says what to do; `errors` lists what is
wrong with the body by JSON pointers.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from rest_framework import exceptions
from rest_framework.exceptions import APIException, ErrorDetail
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings

from rest.outages import DATABASE_OUTAGES
from rest.request_id import current_request_id

PROBLEM_MEDIA_TYPE = "application/problem+json"
#: Seconds after which a caller may try again when the database is away.
OUTAGE_RETRY_AFTER = 2

#: A problem lists so many errors, and then one of this code that says how many more there are.
MAX_ERRORS = 100
MORE_ERRORS = "more_errors"

log = logging.getLogger(__name__)

#: `WWW-Authenticate` of every 401: what a caller may identify itself with.
CHALLENGE = 'Bearer realm="api"'


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong with the body: where (a JSON pointer), which rule (a stable code), and a sentence."""

    pointer: str
    code: str
    message: str


class ApiProblem(APIException):
    """Raise it anywhere below a view. `type` is the slug; `extra` members stand beside the standard ones."""

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - the problem's own word
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        self.status_code = status
        self.type = type
        self.detail = ErrorDetail(detail, code=type)
        self.errors = _first_of(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """The problem's members."""
        return {
            "type": f"/problems/{self.type}",
            "title": self.type.replace("-", " ").capitalize(),
            "status": self.status_code,
            "detail": str(self.detail),
            "errors": [asdict(error) for error in self.errors],
            "request_id": current_request_id(),
            **self.extra,
        }


class ProblemResponse(Response):
    """A problem as DRF's response: problem+json whatever was accepted, but a page where a browser asked for one."""

    def __init__(self, problem: ApiProblem) -> None:
        super().__init__(problem.document(), status=problem.status_code, headers=problem.headers, exception=True)

    @property
    def rendered_content(self) -> Any:
        # No renderer, when negotiation itself has failed, is no browser either.
        if getattr(getattr(self, "accepted_renderer", None), "format", None) != "api":
            self.accepted_renderer = JSONRenderer()
            self.accepted_media_type = self.content_type = PROBLEM_MEDIA_TYPE
        return super().rendered_content


def problem_response(exc: Exception, context: Mapping[str, Any] | None = None) -> Response | None:
    """DRF's exception handler. None for what nobody expected: Django's 500 handler answers that."""
    problem = problem_for(exc)
    return None if problem is None else ProblemResponse(problem)


def problem_bytes(problem: ApiProblem) -> bytes:
    """The problem's body, for ASGI middleware."""
    return json.dumps(problem.document(), ensure_ascii=False).encode()


def problem_page(problem: ApiProblem) -> HttpResponse:
    """The problem for views that are not DRF's."""
    return HttpResponse(
        problem_bytes(problem),
        status=problem.status_code,
        content_type=PROBLEM_MEDIA_TYPE,
        headers=problem.headers,
    )


def problem_for(exc: BaseException) -> ApiProblem | None:
    """The problem that an exception stands for; None when it stands for a mistake of ours."""
    if isinstance(exc, ApiProblem):
        return exc
    if isinstance(exc, DATABASE_OUTAGES):
        return _outage(exc)
    if isinstance(exc, Http404):
        return _not_found(exceptions.NotFound())
    if isinstance(exc, PermissionDenied):
        return _forbidden(exceptions.PermissionDenied())
    if isinstance(exc, RequestDataTooBig):
        return ApiProblem(413, "body-too-large", "The body is too large. Send less.")
    if isinstance(exc, UnreadablePostError):
        return ApiProblem(400, "incomplete-body", "The body ended early. Send the request again.")
    return _problem_for_api_exception(exc) if isinstance(exc, APIException) else None


def field_errors(detail: Any, pointer: str = "") -> list[FieldError]:
    """DRF's nested error detail as a flat list with JSON pointers."""
    if isinstance(detail, Mapping):
        return [error for key, value in detail.items() for error in field_errors(value, _below(pointer, key))]
    if not isinstance(detail, Sequence) or isinstance(detail, str):
        return [FieldError(pointer, str(getattr(detail, "code", "invalid")), str(detail))]
    if all(isinstance(item, str) for item in detail):
        return [error for item in detail for error in field_errors(item, pointer)]
    return [error for index, item in enumerate(detail) for error in field_errors(item, f"{pointer}/{index}")]


def invalid(errors: Sequence[FieldError]) -> ApiProblem:
    """422: the body is JSON, but not what is asked for."""
    first = errors[0]
    where = f"{first.pointer}: " if first.pointer else ""
    others = f" (and {min(len(errors), MAX_ERRORS) - 1} more under errors)" if len(errors) > 1 else ""
    return ApiProblem(
        422, "validation-failed", f"Correct this and send it again. {where}{first.message}{others}", errors=errors
    )


def wants_problem(request: HttpRequest) -> bool:
    """Whether an error at this address is answered to a program."""
    return request.path == "/api" or request.path.startswith("/api/")


def _first_of(errors: Sequence[FieldError]) -> tuple[FieldError, ...]:
    """The errors as they are listed. An answer should not be many times as long as the body that it refuses."""
    # One that stands for others, as a serializer makes it, still stands after the listed ones.
    if (more := len(errors) - MAX_ERRORS) <= 0 or (more == 1 and errors[-1].code == MORE_ERRORS):
        return tuple(errors)
    return (*errors[:MAX_ERRORS], FieldError("", MORE_ERRORS, f"{more} more errors are not listed."))


def _below(pointer: str, key: object) -> str:
    if key == api_settings.NON_FIELD_ERRORS_KEY:
        return pointer
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _problem_for_api_exception(exc: APIException) -> ApiProblem:
    for kind, make in _MAKERS.items():
        if isinstance(exc, kind):
            return make(exc)
    return ApiProblem(exc.status_code, str(exc.default_code).replace("_", "-"), _sentence(exc))


def _outage(exc: BaseException) -> ApiProblem:
    log.error("The database did not answer.", exc_info=exc)
    return ApiProblem(
        503,
        "database-unavailable",
        "The database does not answer right now. Try again after the seconds in Retry-After.",
        headers={"Retry-After": str(OUTAGE_RETRY_AFTER)},
    )


def _unauthenticated(exc: APIException) -> ApiProblem:
    challenge = getattr(exc, "auth_header", None) or CHALLENGE
    sentence = "Send an API key as `Authorization: Bearer <key>`, or sign in."
    if isinstance(exc, exceptions.AuthenticationFailed):
        sentence = f"{_sentence(exc)} {sentence}"
    return ApiProblem(401, "not-authenticated", sentence, headers={"WWW-Authenticate": challenge})


def _forbidden(exc: APIException) -> ApiProblem:
    sentence = _sentence(exc)
    if sentence == exceptions.PermissionDenied.default_detail:
        sentence = "Your key or account lacks the right for this. Ask an administrator of your team for it."
    return ApiProblem(403, "forbidden", sentence)


def _not_found(exc: APIException) -> ApiProblem:
    sentence = _sentence(exc)
    if sentence == exceptions.NotFound.default_detail:
        sentence = "Nothing that you may see is at this address. Check the path and the id."
    return ApiProblem(404, "not-found", sentence)


def _not_acceptable(exc: APIException) -> ApiProblem:
    return ApiProblem(406, "not-acceptable", "Ask for `Accept: application/json`: other types are not made here.")


def _unsupported(exc: APIException) -> ApiProblem:
    return ApiProblem(415, "unsupported-media-type", "Send JSON with `Content-Type: application/json`.")


def _malformed(exc: APIException) -> ApiProblem:
    return ApiProblem(400, "malformed-json", _sentence(exc))


def _throttled(exc: APIException) -> ApiProblem:
    wait = getattr(exc, "wait", None)
    headers = {} if wait is None else {"Retry-After": str(max(1, round(wait)))}
    return ApiProblem(429, "too-many-requests", "Too many requests. Wait as Retry-After says.", headers=headers)


def _wrong_method(exc: APIException) -> ApiProblem:
    return ApiProblem(405, "method-not-allowed", f"{_sentence(exc)} `Allow` lists the methods that are.")


def _sentence(exc: APIException) -> str:
    errors = field_errors(exc.detail)
    return errors[0].message if errors else str(exc.default_detail)


_MAKERS = {
    exceptions.ValidationError: lambda exc: invalid(field_errors(exc.detail)),
    exceptions.NotAuthenticated: _unauthenticated,
    exceptions.AuthenticationFailed: _unauthenticated,
    exceptions.PermissionDenied: _forbidden,
    exceptions.NotFound: _not_found,
    exceptions.NotAcceptable: _not_acceptable,
    exceptions.UnsupportedMediaType: _unsupported,
    exceptions.ParseError: _malformed,
    exceptions.Throttled: _throttled,
    exceptions.MethodNotAllowed: _wrong_method,
}
