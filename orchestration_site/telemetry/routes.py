"""Which route of the site a path belongs to: a few dozen names for all the paths that there are."""

from django.urls import Resolver404, resolve


def route_of(path: str) -> str | None:
    """The route as the site's addresses are written; None for a path that leads nowhere."""
    try:
        return f"/{resolve(path).route.replace('^', '').replace('/?$', '')}"
    except Resolver404:
        return None
