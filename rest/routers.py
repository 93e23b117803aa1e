"""Routers whose paths answer with and without a trailing slash."""

from typing import Any

from rest_framework.routers import APIRootView, DefaultRouter

#: What ids look like in addresses: anything else is a 404 before a view is asked.
UUID_PATTERN = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


class RootView(APIRootView):
    """The lists of this API."""

    required_verbs = {"GET": ("view", "execute", "change", "deploy", "manage_keys")}


class BothSlashesRouter(DefaultRouter):
    """A DefaultRouter for `/things` and `/things/` alike; links are written without the slash."""

    APIRootView = RootView
    include_format_suffixes = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trailing_slash = "/?"
