"""A DRF view that answers later without holding a thread or a database connection."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from rest.problems import ProblemResponse, problem_for

Tail = Callable[[Response], Awaitable[None]]

#: The synchronous part of all such views: authentication, checks, one transaction. It never waits for a model.
VIEW_THREADS = 16
_POOL = ThreadPoolExecutor(VIEW_THREADS, thread_name_prefix="view")


class AwaitMixin:
    """Put it before APIView or a ViewSet. The view runs in a thread; what it leaves to do goes into a tail:

        return with_tail(Response(…, status=202), tail)

    `async def tail(response)` is awaited on the event loop, after the database connection has been given back, and
    may edit the response before it is rendered, or raise an APIException.
    """

    @classmethod
    def as_view(cls, *args: Any, **kwargs: Any) -> Any:
        sync_view = super().as_view(*args, **kwargs)  # type: ignore[misc] # of the view that comes after this class

        def run_and_release(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            # Django's own signal runs in another thread, so this thread's connection is its to look after. A waiter
            # that kept it would take it from a small pool for the whole wait.
            close_old_connections()
            try:
                response: HttpResponseBase = sync_view(request, *args, **kwargs)
                return response
            finally:
                close_old_connections()

        run = sync_to_async(run_and_release, thread_sensitive=False, executor=_POOL)

        @wraps(sync_view)  # carries `cls`, `initkwargs`, `actions` and `csrf_exempt` over
        async def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response = await run(request, *args, **kwargs)
            tail: Tail | None = getattr(response, "tail", None)
            return response if tail is None else await _finish(response, tail)

        return view


def with_tail(response: Response, tail: Tail) -> Response:
    """The response, with what is still to be awaited before it is rendered."""
    response.tail = tail  # type: ignore[attr-defined] # ours, read by AwaitMixin
    return response


async def _finish(response: Any, tail: Tail) -> HttpResponseBase:
    try:
        await tail(response)
    except APIException as error:
        problem = problem_for(error)
        assert problem is not None  # noqa: S101 - every APIException has one
        answer: Any = ProblemResponse(problem)
        answer.accepted_renderer = response.accepted_renderer
        answer.accepted_media_type = response.accepted_media_type
        answer.renderer_context = response.renderer_context
        return answer  # type: ignore[no-any-return] # a ProblemResponse
    finally:
        del response.tail
    return response  # type: ignore[no-any-return] # it came from a DRF view
