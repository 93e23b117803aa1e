"""Has Django take our admin for its own. Apart from it, since this is read before there are models."""

from django.contrib.admin.apps import SimpleAdminConfig


class SlowAdminConfig(SimpleAdminConfig):
    """The admin, found by the modules that `urls.py` tells it to look for."""

    default_site = "access.admin_site.SlowAdminSite"
