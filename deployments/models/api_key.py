"""Keys that call the API: shown once, stored as a prefix and a hash."""

import unicodedata
from datetime import datetime

import uuid_utils.compat
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from access.models import TeamOwned, TeamQuerySet
from deployments.models.deployment import Deployment

#: Unicode's categories of control characters, and of what ends a line or a paragraph.
_OF_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
AT_LEAST_ONE = [MinValueValidator(1)]


def require_one_line(name: str) -> None:
    """It is shown in logs and as `triggered_by`: a line break in it would forge a line there."""
    if any(unicodedata.category(character) in _OF_CONTROLS for character in name):
        raise ValidationError("A name has no control characters or line breaks.", code="bad_character")


def require_future(moment: datetime) -> None:
    """A key that has expired before it is made is a mistake in a date."""
    if moment <= timezone.now():
        raise ValidationError("This time has passed. Give one that is to come.", code="passed")


class ApiKeyQuerySet(TeamQuerySet):
    """Queries over keys. Of this module, since mypy's plugin loses a manager whose queryset is another's."""


class ApiKey(TeamOwned):
    """A key of 256 bits with its scopes. It opens `all_deployments` of its team, or those of `deployments` alone."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    name = models.CharField(max_length=100, validators=[require_one_line])
    prefix = models.CharField(max_length=16, unique=True)
    key_hash = models.CharField(max_length=64, help_text="SHA-256 of the whole key, in hexadecimal.")
    scopes = models.JSONField(default=list, help_text="Any of execute, read, manage.")
    all_deployments = models.BooleanField(default=True)
    deployments = models.ManyToManyField(Deployment, blank=True, related_name="api_keys")
    # Limits: null means none.
    rate_count = models.PositiveIntegerField(
        validators=AT_LEAST_ONE, null=True, blank=True, help_text="Calls in so many seconds."
    )
    rate_seconds = models.PositiveIntegerField(validators=AT_LEAST_ONE, null=True, blank=True)
    max_concurrent = models.PositiveIntegerField(
        validators=AT_LEAST_ONE, null=True, blank=True, help_text="Executions at once, waiting ones too."
    )
    daily_max_executions = models.PositiveIntegerField(
        validators=AT_LEAST_ONE, null=True, blank=True, help_text="A day is one of UTC."
    )
    daily_max_tokens = models.PositiveBigIntegerField(validators=AT_LEAST_ONE, null=True, blank=True)
    daily_max_cost_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    created_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    # The secret before the last rotation, which opens the same for a while.
    previous_hash = models.CharField(max_length=64, blank=True, default="")
    previous_until = models.DateTimeField(null=True, blank=True)
    previous_used_at = models.DateTimeField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                # What is compared with null is not false, and a constraint refuses only what is.
                condition=Q(rate_count__isnull=True, rate_seconds__isnull=True)
                | Q(rate_count__isnull=False, rate_seconds__isnull=False, rate_count__gt=0, rate_seconds__gt=0),
                name="key_rate_complete",
                violation_error_message="A rate needs both the number of calls and the seconds.",
            ),
        ]

    def is_valid_at(self, moment: datetime) -> bool:
        """Neither revoked nor past its time."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > moment)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
