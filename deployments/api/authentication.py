"""API keys as `Authorization: Bearer <key>`."""

from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from deployments.key_use import note_use
from deployments.keys import KeyPrincipal, principal_of_key
from rest.problems import CHALLENGE, ApiProblem


class ApiKeyAuthentication(BaseAuthentication):
    """A key in the header, and nowhere else. `request.auth` is its Principal; there is no user.

    An unknown, a revoked and an expired key are answered alike.
    """

    def authenticate(self, request: Request) -> tuple[None, KeyPrincipal] | None:
        scheme, _, plaintext = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            raise ApiProblem(
                400, "two-credentials", "This request has an API key and a session's cookie. Send one of them only."
            )
        found = principal_of_key(plaintext.strip())
        if found is None:
            raise AuthenticationFailed("This API key is not valid.")
        if found.principal.key_id is not None:
            note_use(
                found.principal.key_id,
                at=timezone.now(),
                last_used_at=found.last_used_at,
                is_previous=found.is_previous,
            )
        return None, found.principal

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # its subclass hook has no types
    """The key, for the OpenAPI document."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key, made at /api/keys or by create_key."}
