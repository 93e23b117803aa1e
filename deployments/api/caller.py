"""Who asks."""

from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from access.principal import Principal


def caller(request: Request) -> Principal:
    """The Principal that authentication has put on the request. Raises the 401 where there is none."""
    principal: object = request.auth
    if not isinstance(principal, Principal):
        raise NotAuthenticated
    return principal
