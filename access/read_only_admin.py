"""What the admin shows and does not change."""

from typing import Any

from django.http import HttpRequest

from access.admin_rights import TeamRowsAdmin


class MadeElsewhereAdmin(TeamRowsAdmin):
    """Rows that the API, the pages or a command make. What else may be done with them here, its subclasses say."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class ReadOnlyAdmin(MadeElsewhereAdmin):
    """Rows that are shown here, and neither changed nor deleted."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
