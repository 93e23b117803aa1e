"""Every error of an API is one shape: a problem."""

import json
import logging
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404
from django.test import RequestFactory, override_settings
from django.urls import path
from psycopg_pool import PoolTimeout
from rest_framework import exceptions, serializers
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from rest import error_handlers
from rest.negotiation import EventStreamRenderer
from rest.parsers import StrictJSONParser, refuse_blank_body
from rest.problems import ApiProblem, FieldError, field_errors, problem_for
from rest.serializers import StrictSerializer


class Leaf(StrictSerializer):
    n = serializers.IntegerField(min_value=1)


class Tree(StrictSerializer):
    name = serializers.CharField(max_length=5)
    id = serializers.CharField(read_only=True)
    leaf = Leaf(required=False)
    leaves = Leaf(many=True, required=False)
    words = serializers.ListField(child=serializers.CharField(max_length=3), required=False)
    scores = serializers.DictField(child=serializers.IntegerField(), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["name"] == "twins":
            raise serializers.ValidationError("One is enough.", code="twins")
        return attrs


class TreeView(APIView):
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    parser_classes = [StrictJSONParser]
    renderer_classes = [JSONRenderer, BrowsableAPIRenderer, EventStreamRenderer]
    raises: Exception | None = None

    def get(self, request: Request) -> Response:
        if self.raises is not None:
            raise self.raises
        return Response({})

    def post(self, request: Request) -> Response:
        refuse_blank_body(request)
        tree = Tree(data=request.data)
        tree.is_valid(raise_exception=True)
        return Response(tree.validated_data)


def raising(error: Exception) -> Any:
    return TreeView.as_view(raises=error)


urlpatterns = [
    path("api/trees", TreeView.as_view()),
    path("api/problem", raising(ApiProblem(409, "tree-felled", "Plant another.", headers={"X-Axe": "1"}, tree="oak"))),
    path("api/failed-login", raising(exceptions.AuthenticationFailed("The key has expired."))),
    path("api/throttled", raising(exceptions.Throttled(wait=2.4))),
    path("api/outage", raising(OperationalError("connection refused to 10.0.0.1"))),
    path("api/bug", raising(ZeroDivisionError("secret detail"))),
    path("page", raising(ZeroDivisionError("secret detail"))),
]
handler400 = error_handlers.bad_request
handler403 = error_handlers.permission_denied
handler404 = error_handlers.page_not_found
handler500 = error_handlers.server_error


@pytest.fixture
def client() -> Any:
    # Without the site's own templates, which name addresses that are not here.
    with override_settings(ROOT_URLCONF=__name__, TEMPLATES=[settings.TEMPLATES[0] | {"DIRS": []}]):
        yield APIClient(raise_request_exception=False)


def post(client: Any, body: object, **headers: str) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.generic("POST", "/api/trees", text, content_type="application/json", headers=headers)


def assert_problem(answer: Any, status: int, slug: str) -> Any:
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) >= {"type", "title", "status", "detail", "errors", "request_id"}
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith(".") or problem["errors"]
    return problem


def test_a_problem_of_our_own_keeps_its_members_and_headers(client: Any) -> None:
    answer = client.get("/api/problem")
    problem = assert_problem(answer, 409, "tree-felled")
    assert problem["title"] == "Tree felled"
    assert problem["detail"] == "Plant another."
    assert problem["tree"] == "oak"
    assert answer["X-Axe"] == "1"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {("/name", "required")}),
        ({"name": "oak", "nam": 1}, {("/nam", "unknown_field")}),
        ({"name": "oak", "id": "1"}, {("/id", "read_only")}),
        ({"nmae": 1}, {("/name", "required"), ("/nmae", "unknown_field")}),
        ({"name": "oak", "leaf": {"n": 0}}, {("/leaf/n", "min_value")}),
        ({"name": "oak", "leaf": {"n": 1, "x/y~z": 1}}, {("/leaf/x~1y~0z", "unknown_field")}),
        ({"name": "oak", "leaves": [{"n": 1}, {"n": 0}]}, {("/leaves/1/n", "min_value")}),
        ({"name": "oak", "leaves": [{"n": 1}, 7]}, {("/leaves/1", "invalid")}),
        ({"name": "oak", "leaves": 7}, {("/leaves", "not_a_list")}),
        ({"name": "oak", "words": ["a", "long", "b"]}, {("/words/1", "max_length")}),
        ({"name": "oak", "scores": {"a": 1, "b": "x"}}, {("/scores/b", "invalid")}),
        ({"name": "twins"}, {("", "twins")}),
        ([], {("", "invalid")}),
        ("oak", {("", "invalid")}),
        (None, {("", "null")}),
    ],
)
def test_what_does_not_fit_is_a_422_with_json_pointers(
    client: Any, body: object, expected: set[tuple[str, str]]
) -> None:
    problem = assert_problem(post(client, body), 422, "validation-failed")
    assert {(error["pointer"], error["code"]) for error in problem["errors"]} == expected


def test_a_misspelt_field_is_told_the_right_name(client: Any) -> None:
    problem = post(client, {"nmae": "oak"}).json()
    assert any("Did you mean name?" in error["message"] for error in problem["errors"])


def test_a_problem_is_problem_json_whatever_was_accepted(client: Any) -> None:
    for accept in ("application/json", "text/event-stream", "*/*"):
        assert_problem(post(client, {}, accept=accept), 422, "validation-failed")


def test_a_browser_is_answered_with_a_page(client: Any) -> None:
    answer = post(client, {}, accept="text/html")
    assert answer.status_code == 422
    assert answer["Content-Type"].startswith("text/html")
    assert b"validation-failed" in answer.content


def test_an_answer_type_that_is_not_made_is_a_406(client: Any) -> None:
    assert_problem(client.get("/api/trees", headers={"accept": "application/xml"}), 406, "not-acceptable")


def test_another_method_is_a_405_that_lists_the_right_ones(client: Any) -> None:
    answer = client.delete("/api/trees")
    assert_problem(answer, 405, "method-not-allowed")
    assert "POST" in answer["Allow"]


def test_a_body_that_is_not_json_is_a_415(client: Any) -> None:
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        answer = client.generic("POST", "/api/trees", b"name=oak", content_type=content_type)
        assert_problem(answer, 415, "unsupported-media-type")


def test_a_body_without_a_type_is_a_415(client: Any) -> None:
    assert_problem(client.generic("POST", "/api/trees", b"{}", content_type=""), 415, "unsupported-media-type")


def test_malformed_json_and_an_empty_body_are_400s(client: Any) -> None:
    for body in (b"{", b"", rb'{"name": "\u0000"}', b"[" * 5_000):
        assert_problem(post(client, body), 400, "malformed-json")


def test_who_is_not_authenticated_is_challenged(client: Any) -> None:
    answer = client.get("/api/failed-login")
    problem = assert_problem(answer, 401, "not-authenticated")
    assert "The key has expired." in problem["detail"]
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_throttled_caller_is_told_when_to_come_back(client: Any) -> None:
    answer = client.get("/api/throttled")
    assert_problem(answer, 429, "too-many-requests")
    assert int(answer["Retry-After"]) >= 2


def test_a_database_that_is_away_is_a_503_that_gives_nothing_away(client: Any) -> None:
    answer = client.get("/api/outage")
    assert_problem(answer, 503, "database-unavailable")
    assert int(answer["Retry-After"]) >= 1
    assert b"10.0.0.1" not in answer.content


@pytest.mark.parametrize("error", [OperationalError("x"), InterfaceError("x"), PoolTimeout("x")])
def test_every_outage_of_the_database_is_a_503(error: Exception) -> None:
    problem = problem_for(error)
    assert problem is not None
    assert problem.status_code == 503


def test_a_mistake_of_ours_is_a_500_without_details(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL, logger="django.request"):
        answer = client.get("/api/bug")
    assert_problem(answer, 500, "internal-error")
    assert b"secret detail" not in answer.content
    assert b"ZeroDivision" not in answer.content


def test_an_unknown_address_is_a_problem_under_api_and_a_page_elsewhere(client: Any) -> None:
    assert_problem(client.get("/api/nowhere"), 404, "not-found")
    assert client.get("/nowhere")["Content-Type"].startswith("text/html")
    answer = client.get("/page")
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (500, "text/html")
    assert b"Something went wrong" in answer.content
    assert b"secret detail" not in answer.content


def test_a_missing_row_does_not_say_of_which_model() -> None:
    problem = problem_for(Http404("No Secret matches the given query."))
    assert problem is not None
    assert "Secret" not in str(problem.detail)


@pytest.mark.parametrize(
    ("error", "status"), [(PermissionDenied("x"), 403), (RequestDataTooBig("x"), 413), (Http404("x"), 404)]
)
def test_djangos_own_refusals_are_problems(error: Exception, status: int) -> None:
    problem = problem_for(error)
    assert problem is not None
    assert problem.status_code == status


def test_an_unexpected_exception_is_no_problem_of_the_callers() -> None:
    assert problem_for(KeyError("x")) is None


def test_a_missing_csrf_token_is_a_problem_under_api() -> None:
    answer = error_handlers.csrf_failure(RequestFactory().post("/api/designs"), reason="CSRF token missing.")
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("refuse", "status", "words"),
    [
        (lambda request: error_handlers.csrf_failure(request, "CSRF cookie not set."), 403, b"load the page again"),
        (lambda request: error_handlers.bad_request(request, SuspiciousOperation()), 400, b"ALLOWED_HOSTS"),
    ],
)
def test_a_refused_page_says_what_to_do_in_the_sites_own_look(refuse: Any, status: int, words: bytes) -> None:
    answer = refuse(RequestFactory().get("/sign-in"))
    assert answer.status_code == status
    assert words in answer.content
    assert b'href="/static/rest/plain.css"' in answer.content
    assert b"<style" not in answer.content  # the policy would forbid it


def test_nested_details_become_flat_pointers() -> None:
    detail = {"a": [{"b": ["wrong"]}, {}, {"non_field_errors": ["both"]}], "c": "plain"}
    assert field_errors(detail) == [
        FieldError("/a/0/b", "invalid", "wrong"),
        FieldError("/a/2", "invalid", "both"),
        FieldError("/c", "invalid", "plain"),
    ]


@pytest.mark.parametrize(("count", "more"), [(100, 0), (101, 1), (50_000, 49_900)])
def test_of_many_unknown_fields_a_hundred_are_listed_and_the_others_counted(client: Any, count: int, more: int) -> None:
    answer = post(client, {"name": "oak", **{f"nam{number}": 1 for number in range(count)}})
    errors = assert_problem(answer, 422, "validation-failed")["errors"]
    assert [error["code"] for error in errors[:100]] == ["unknown_field"] * 100
    rest = [(error["pointer"], error["code"], error["message"]) for error in errors[100:]]
    assert rest == ([("", "more_errors", f"{more} more fields are not taken either.")] if more else [])
    assert sum("Did you mean" in error["message"] for error in errors) == 5
    assert len(answer.content) < 100_000


def test_of_many_errors_of_any_kind_a_hundred_are_listed(client: Any) -> None:
    answer = post(client, {"name": "oak", "words": ["long"] * 20_000})
    problem = assert_problem(answer, 422, "validation-failed")
    assert len(problem["errors"]) == 101
    assert problem["errors"][-1] == {
        "pointer": "",
        "code": "more_errors",
        "message": "19900 more errors are not listed.",
    }
    assert "99 more under errors" in problem["detail"]
