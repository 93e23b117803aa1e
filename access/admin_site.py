"""The admin's frame: its own door is as slow to guess at as the site's."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from access.sign_in_forms import AdminSignInForm, answer_slowly


class SlowAdminSite(AdminSite):
    """Django's, but for its door."""

    login_form = AdminSignInForm

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:  # type: ignore[override] # the stubs promise a page, where a redirect is
        return answer_slowly(super().login)(request, extra_context)
