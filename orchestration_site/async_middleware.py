"""Django's own middleware, without a hop to another thread for each of its two halves.

Under ASGI Django runs the synchronous hooks of its classes in a thread, a hop before and a hop after every view. These
hooks only look at headers and cookies, so here they run where they are. What may touch the database (a session that
was used) still goes to a thread.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.cache import patch_cache_control

from access.sessions import is_session_key


class Inline:
    """Put it before a class whose hooks never block: they are then called on the event loop."""

    get_response: Any

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        before: Callable[[HttpRequest], HttpResponseBase | None] | None = getattr(self, "process_request", None)
        response = before(request) if before is not None else None
        if response is None:
            response = await self.get_response(request)
        return await self.finish(request, response)

    async def finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        after: Callable[..., HttpResponseBase] | None = getattr(self, "process_response", None)
        return response if after is None else after(request, response)


class InlineSecurityMiddleware(Inline, SecurityMiddleware):
    """Headers only."""


class InlineCommonMiddleware(Inline, CommonMiddleware):
    """Headers only."""


class InlineXFrameOptionsMiddleware(Inline, XFrameOptionsMiddleware):
    """Headers only."""


class InlineCSPMiddleware(Inline, CSPMiddleware):
    """Headers only, and only of what a browser shows as a page."""

    async def finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        return await super().finish(request, response) if is_page else response


class InlineAuthenticationMiddleware(Inline, AuthenticationMiddleware):
    """Makes `request.user` lazy; who looks at it does the query."""


class InlineSessionMiddleware(Inline, SessionMiddleware):
    """Makes the session lazy. One that was used or named is looked after, and perhaps saved, in a thread.

    A cookie that names none, whatever it holds, is as one whose session is over. What was made for a session is kept by
    nobody: the browser's "back" would show it to whoever comes after the sign-out.
    """

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        if not is_session_key(request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")):
            request.session = self.SessionStore(None)

    async def finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        session = request.session
        if session.accessed:
            patch_cache_control(response, private=True, no_store=True)
        if session.accessed or session.modified or settings.SESSION_COOKIE_NAME in request.COOKIES:
            return await sync_to_async(self.process_response, thread_sensitive=True)(request, response)  # type: ignore[arg-type] # Django's hook takes any response
        return response


class InlineMessageMiddleware(Inline, MessageMiddleware):
    """Messages live in a cookie or the session: they are stored in a thread when there are any."""

    async def finish(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        messages = request._messages  # type: ignore[attr-defined] # noqa: SLF001 - where Django's middleware keeps it
        if messages.used or messages.added_new:
            return await sync_to_async(self.process_response, thread_sensitive=True)(request, response)  # type: ignore[arg-type] # Django's hook takes any response
        return response


class InlineCsrfViewMiddleware(Inline, CsrfViewMiddleware):
    """The token is in a cookie; with CSRF_USE_SESSIONS it would be in the database, and this class not be right."""

    async def process_view(  # type: ignore[override] # Django awaits a hook that is a coroutine function
        self, request: HttpRequest, callback: Callable[..., Any], callback_args: Any, callback_kwargs: Any
    ) -> HttpResponseBase | None:
        return super().process_view(request, callback, callback_args, callback_kwargs)
