"""The addresses under `/api/` that designs answer."""

from designs.api.designs import DesignViewSet
from designs.api.providers import ProviderAccountViewSet
from rest.routers import BothSlashesRouter

#: Joined with the other apps' in `orchestration_site.urls`, so that one root lists them all.
router = BothSlashesRouter()
router.register("designs", DesignViewSet, basename="design")
router.register("providers", ProviderAccountViewSet, basename="provider")
