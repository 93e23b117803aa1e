"""Who opens a socket, and from where: a session within our own pages, or an API key."""

from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import QueryDict
from django.utils.http import is_same_domain
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from access.principal import Principal
from access.principal_of import principal_of
from access.sessions import users_of_sessions
from deployments.api.authentication import ApiKeyAuthentication
from deployments.live.admission import Credential
from rest.problems import ApiProblem

HTTP_SCHEMES = {"ws": "http", "wss": "https"}
DEFAULT_PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int | None]


class SocketRequest:
    """The request for a socket, as Django would see it over HTTP: hosts, proxies and cookies are read as ever."""

    def __init__(self, scope: Any) -> None:
        scheme = HTTP_SCHEMES[scope.get("scheme", "ws")]
        self._request = ASGIRequest({**scope, "method": "GET", "scheme": scheme}, BytesIO())

    @property
    def query(self) -> QueryDict:
        return self._request.GET

    @property
    def is_from_our_pages(self) -> bool:
        """Whether its Origin is this site's, or one that CSRF_TRUSTED_ORIGINS names: scheme, host and port."""
        origin = _origin_of(self._request.META.get("HTTP_ORIGIN", ""))
        if origin is None:
            return False
        return origin == self._own_origin() or any(_is_trusted(origin, name) for name in settings.CSRF_TRUSTED_ORIGINS)

    def identify(self) -> tuple[Credential, Principal]:
        """Whose it is. Raises the problem that a request over HTTP would get. Uses the database."""
        if self._own_origin() is None:
            raise ApiProblem(400, "bad-request", "This site does not go by that Host. ALLOWED_HOSTS names its hosts.")
        found = ApiKeyAuthentication().authenticate(Request(self._request))
        if found is not None:
            return Credential(key=found[1].secret), found[1]
        return self._identify_session()

    def _identify_session(self) -> tuple[Credential, Principal]:
        session_key = self._request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if not session_key:
            raise NotAuthenticated
        # A browser sends the cookie for whichever page asks.
        if not self.is_from_our_pages:
            raise ApiProblem(403, "cross-origin", "A session opens sockets from this site's own pages only.")
        user = users_of_sessions([session_key]).get(session_key)
        if user is None:
            raise NotAuthenticated
        return Credential(session_key=session_key), principal_of(user)

    def _own_origin(self) -> Origin | None:
        try:
            return _origin_of(f"{self._request.scheme}://{self._request.get_host()}")
        except DisallowedHost:
            return None


def _origin_of(text: str) -> Origin | None:
    """Scheme, host and port of an origin; None when it is none, as `null` is none."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS.get(parts.scheme)


def _is_trusted(origin: Origin, trusted: str) -> bool:
    """As Django reads CSRF_TRUSTED_ORIGINS: `https://*.example.com` stands for every host below it."""
    scheme, host, port = origin
    of = _origin_of(trusted.replace("*", ""))
    return of is not None and (scheme, port) == (of[0], of[2]) and is_same_domain(host, of[1])
