"""The admin's frame: its own door is as slow to guess at as the site's, and what cannot be asked for is refused."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from access.sign_in_forms import AdminSignInForm, answer_slowly

log = logging.getLogger(__name__)


class SlowAdminSite(AdminSite):
    """Django's, but for its door, and for addresses that name values which no row can have."""

    login_form = AdminSignInForm

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:  # type: ignore[override] # the stubs promise a page, where a redirect is
        return answer_slowly(super().login)(request, extra_context)

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        """A filter that somebody has typed by hand (NUL, a year of ten digits, an id that is none) is a 400."""

        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                return view(request, *args, **kwargs)
            except (DataError, OverflowError, ValueError, ValidationError) as error:
                if request.method not in ("GET", "HEAD"):
                    raise
                log.warning("%s asks for what cannot be: %s", request.path, error, exc_info=error)
                raise BadRequest("The address names a value that nothing here can have.") from error

        return super().admin_view(answer, cacheable)
