"""Keys that call the API: shown once, stored as a prefix and a hash."""

import uuid_utils.compat
from django.db import models

from access.models import TeamOwned, TeamQuerySet
from deployments.models.deployment import Deployment


class ApiKeyQuerySet(TeamQuerySet):
    """Queries over keys. Of this module, since mypy's plugin loses a manager whose queryset is another's."""


class ApiKey(TeamOwned):
    """A key of 256 bits with its scopes. An empty `deployments` means every one of the team's."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, unique=True)
    key_hash = models.CharField(max_length=64, help_text="SHA-256 of the whole key, in hexadecimal.")
    scopes = models.JSONField(default=list, help_text="Any of execute, read, manage.")
    all_deployments = models.BooleanField(default=True)
    deployments = models.ManyToManyField(Deployment, blank=True, related_name="api_keys")
    created_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
