"""Sessions as a way to call the API."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from access.principal import Principal
from access.principal_of import principal_of

#: As `rest.problems` has it, of which this package imports nothing.
CHALLENGE = 'Bearer realm="api"'


class SessionPrincipalAuthentication(SessionAuthentication):
    """The signed-in person, with CSRF checked; `request.auth` is their Principal.

    A request with a Bearer key is never a session's: the two do not mix.
    """

    def authenticate(self, request: Request) -> tuple[User, Principal] | None:
        if request.headers.get("Authorization", "").split(" ")[0].lower() == "bearer":
            return None
        signed_in = super().authenticate(request)
        if signed_in is None:
            return None
        user = signed_in[0]
        return user, principal_of(user)

    def authenticate_header(self, request: Request) -> str:
        """Without it an anonymous request would be answered 403 for 401."""
        return CHALLENGE


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # the library is untyped there
    """The session's cookie, for the OpenAPI document."""

    target_class = SessionPrincipalAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
