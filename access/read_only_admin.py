"""What the admin shows and does not change."""

from typing import Any

from django.http import HttpRequest

from access.admin_rights import TeamRowsAdmin


class MadeElsewhereAdmin(TeamRowsAdmin):
    """Rows that the API, the pages or a command make. What else may be done with them here, its subclasses say."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class ReadOnly:
    """Put it before a ModelAdmin: its rows are shown here, and neither added, changed nor deleted."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, TeamRowsAdmin):
    """Rows of teams that are shown here and nothing else, but for the actions that a subclass names."""
