"""What the admin shows and does not change."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest


class MadeElsewhereAdmin(ModelAdmin):  # type: ignore[type-arg] # the stubs' parameters cannot be given at run time
    """Rows that the API, the pages or a command make. What else may be done with them here, its subclasses say."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class ReadOnlyAdmin(MadeElsewhereAdmin):
    """Rows that are shown here, and neither changed nor deleted."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
