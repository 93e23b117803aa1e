"""Django's own error pages: problems under `/api`, pages elsewhere. `urls.py` names them as handler400 … handler500."""

import sys

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.views import csrf, defaults

from rest.problems import ApiProblem, problem_for, problem_page, wants_problem


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """400."""
    if not wants_problem(request):
        return defaults.bad_request(request, exception)
    problem = problem_for(exception) or ApiProblem(400, "bad-request", "The request cannot be read. Check its headers.")
    return problem_page(problem)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """403."""
    problem = problem_for(exception) if wants_problem(request) else None
    return problem_page(problem) if problem else defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """404."""
    problem = problem_for(exception) if wants_problem(request) else None
    return problem_page(problem) if problem else defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """500, and 503 when it was the database that did not answer."""
    error = sys.exception()
    problem = problem_for(error) if error is not None else None
    if wants_problem(request):
        return problem_page(problem or ApiProblem(500, "internal-error", _OURS))
    return (
        _unavailable(problem) if problem is not None and problem.status_code == 503 else defaults.server_error(request)
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """403 for a form without its token."""
    if wants_problem(request):
        return problem_page(ApiProblem(403, "csrf-failed", f"{reason} Send the X-CSRFToken header.".strip()))
    return csrf.csrf_failure(request, reason=reason)


def _unavailable(problem: ApiProblem) -> HttpResponse:
    # Rendered without the request: what templates are told of it, the user above all, is in the database.
    page = render_to_string("rest/unavailable.html", problem.document())
    return HttpResponse(page, status=problem.status_code, headers=problem.headers)


_OURS = "This is a mistake of ours. Try again, and quote the request_id when you report it."
