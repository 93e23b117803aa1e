"""A waiting view holds neither a thread nor a database connection."""

import asyncio
import threading
from concurrent.futures import wait
from typing import Any

import pytest
from django.db import connection, connections
from django.http import HttpRequest
from django.test import AsyncClient, override_settings
from django.urls import path
from rest_framework import viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rest.async_view import _POOL, VIEW_THREADS, AwaitMixin, with_tail
from rest.problems import ApiProblem
from rest.request_id import _current, current_request_id

WAITERS = 5 * VIEW_THREADS

# Each view's thread looks at its connection, whatever test left one there.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_connection_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with PostgreSQL, where the pool keeps them."""
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", 0)
    # Nor one of an earlier test's, which was opened to be kept.
    all_here = threading.Barrier(VIEW_THREADS)

    def close_here() -> None:
        all_here.wait(20)
        connections.close_all()

    wait([_POOL.submit(close_here) for _ in range(VIEW_THREADS)])


class Door:
    """What all waiters wait for: opens when the last of them has arrived."""

    def __init__(self) -> None:
        self.waiting = 0
        self.open = asyncio.Event()

    async def enter(self) -> None:
        self.waiting += 1
        if self.waiting == WAITERS:
            self.open.set()
        await self.open.wait()


class Open(APIView):
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []


class Wait(AwaitMixin, Open):
    door: Door

    def get(self, request: Request) -> Response:
        async def tail(response: Response) -> None:
            await Wait.door.enter()
            response.status_code = 200
            response.data = {"waiters": Wait.door.waiting}

        return with_tail(Response({}, status=202), tail)


class Query(AwaitMixin, Open):
    def get(self, request: Request) -> Response:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        used = connections["default"]

        async def tail(response: Response) -> None:
            response.data = {"connected": used.connection is not None}

        return with_tail(Response({"connected": None}), tail)


class Refuse(AwaitMixin, Open):
    def get(self, request: Request) -> Response:
        async def tail(response: Response) -> None:
            raise ApiProblem(409, "execution-cancelled", "It was cancelled.", block_id="b1")

        return with_tail(Response({}), tail)


class Meet(AwaitMixin, Open):
    barrier: threading.Barrier

    def get(self, request: Request) -> Response:
        Meet.barrier.wait(20)
        return Response({})


class Plain(AwaitMixin, Open):
    def get(self, request: Request) -> Response:
        return Response({"request_id": current_request_id()})


class Things(AwaitMixin, viewsets.ViewSet):
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    def list(self, request: Request) -> Response:
        return Response({"action": self.action})


urlpatterns = [
    path("api/wait", Wait.as_view()),
    path("api/query", Query.as_view()),
    path("api/refuse", Refuse.as_view()),
    path("api/meet", Meet.as_view()),
    path("api/plain", Plain.as_view()),
    path("api/things", Things.as_view({"get": "list"})),
]


@pytest.fixture
def client() -> Any:
    with override_settings(ROOT_URLCONF=__name__):
        yield AsyncClient(raise_request_exception=False)


async def test_more_callers_wait_than_there_are_threads(client: AsyncClient) -> None:
    Wait.door = Door()
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*(client.get("/api/wait") for _ in range(WAITERS)))
    assert [answer.status_code for answer in answers] == [200] * WAITERS
    assert answers[0].json() == {"waiters": WAITERS}


async def test_the_synchronous_parts_of_requests_run_at_once(client: AsyncClient) -> None:
    Meet.barrier = threading.Barrier(VIEW_THREADS)
    answers = await asyncio.gather(*(client.get("/api/meet") for _ in range(VIEW_THREADS)))
    assert [answer.status_code for answer in answers] == [200] * VIEW_THREADS


async def test_the_database_connection_is_given_back_before_the_wait(client: AsyncClient) -> None:
    assert (await client.get("/api/query")).json() == {"connected": False}


async def test_a_tail_may_end_in_a_problem(client: AsyncClient) -> None:
    answer = await client.get("/api/refuse")
    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/execution-cancelled"
    assert answer.json()["block_id"] == "b1"


async def test_a_problem_in_a_tail_is_a_page_for_a_browser(client: AsyncClient) -> None:
    answer = await client.get("/api/refuse", headers={"accept": "text/html"})
    assert answer.status_code == 409
    assert answer["Content-Type"].startswith("text/html")


async def test_a_view_without_a_tail_answers_as_ever(client: AsyncClient) -> None:
    assert (await client.get("/api/plain")).status_code == 200
    assert (await client.post("/api/plain")).status_code == 405


async def test_the_request_id_reaches_the_thread(client: AsyncClient) -> None:
    token = _current.set("r-1")
    try:
        assert (await client.get("/api/plain")).json() == {"request_id": "r-1"}
    finally:
        _current.reset(token)


async def test_a_viewset_keeps_its_actions(client: AsyncClient) -> None:
    assert (await client.get("/api/things")).json() == {"action": "list"}


def test_what_django_and_the_schema_read_of_a_view_is_carried_over() -> None:
    view: Any = Things.as_view({"get": "list"})
    assert view.cls is Things
    assert view.actions["get"] == "list"
    assert view.csrf_exempt is True
    assert asyncio.iscoroutinefunction(view)
    assert Plain.as_view().cls is Plain


def test_a_view_takes_djangos_request() -> None:
    with override_settings(ROOT_URLCONF=__name__):
        answer: Any = asyncio.run(Things.as_view({"get": "list"})(_request()))
    assert answer.data == {"action": "list"}


def _request() -> HttpRequest:
    request = HttpRequest()
    request.method = "GET"
    request.META = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    return request
