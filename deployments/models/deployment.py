"""A design that is deployed under an endpoint."""

from typing import Self

import uuid_utils.compat
from django.db import models
from django.db.models import Expression, Q

from access.models import TeamOwned, TeamQuerySet
from access.principal import ALL, Principal
from designs.models import DesignVersion, OrchestrationDesign

ENDPOINT_PREFIX = "/api/deployed/"


class DeploymentQuerySet(TeamQuerySet):
    """Queries over deployments. `live` are those that are not undeployed."""

    def narrowed_to(self, principal: Principal) -> Self:
        return self if principal.deployment_ids is ALL else self.filter(id__in=principal.deployment_ids)

    def live(self) -> Self:
        return self.filter(deleted_at__isnull=True)

    def matching(self, text: str) -> Self:
        """Those with the text in their design's name or in their path."""
        return self.filter(Q(design_name__icontains=text) | Q(endpoint_path__icontains=text))

    def by_endpoint(self, endpoint_path: str | Expression) -> Self:
        """The live deployment of that canonical path (`/api/deployed/…`), as a queryset of one or none."""
        return self.filter(deleted_at__isnull=True, endpoint_path=endpoint_path)


class Deployment(TeamOwned):
    """One version of a design behind one endpoint. Undeploying keeps the row, so that history keeps its parent."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        INACTIVE = "inactive"
        ERROR = "error"

    class WhenFull(models.TextChoices):
        QUEUE = "queue"
        REJECT = "reject"

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    design = models.ForeignKey(OrchestrationDesign, on_delete=models.PROTECT, related_name="deployments")
    version = models.ForeignKey(DesignVersion, on_delete=models.PROTECT, related_name="deployments")
    design_name = models.CharField(max_length=200)
    endpoint_path = models.CharField(max_length=200, help_text="Canonical: /api/deployed/…")
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    status_reason = models.TextField(blank=True, default="")
    #: Grows with every change by a person: the ETag of `If-Match`. Counters do not move it.
    revision = models.PositiveIntegerField(default=1)

    # Limits: null means the site's default.
    rate_count = models.PositiveIntegerField(null=True, blank=True)
    rate_seconds = models.PositiveIntegerField(null=True, blank=True)
    max_concurrent = models.PositiveIntegerField(null=True, blank=True)
    when_full = models.CharField(max_length=10, choices=WhenFull, default=WhenFull.QUEUE)
    deadline_seconds = models.PositiveIntegerField(null=True, blank=True)
    max_calls = models.PositiveIntegerField(null=True, blank=True)
    max_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    max_cost_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    max_payload_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    #: Of all executions of a day (UTC) together; null means no budget.
    daily_max_tokens = models.PositiveBigIntegerField(null=True, blank=True)
    daily_max_cost_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)

    # How long history is kept: null means the site's default, 0 for ever. See `deployments.retention`.
    keep_payload_days = models.PositiveIntegerField(null=True, blank=True)
    keep_payload_last = models.PositiveIntegerField(null=True, blank=True)
    keep_history_days = models.PositiveIntegerField(null=True, blank=True)
    keep_history_last = models.PositiveIntegerField(null=True, blank=True)

    last_execution_at = models.DateTimeField(null=True, blank=True)
    execution_count = models.PositiveBigIntegerField(default=0)
    created_by = models.CharField(max_length=200, blank=True, default="")
    updated_by = models.CharField(max_length=200, blank=True, default="", help_text="Who made the last revision.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["status"], name="deployment_status"),
            models.Index(fields=["-created_at", "-id"], name="deployment_created"),
            models.Index(fields=["team", "-created_at", "-id"], name="deployment_team_created"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint_path"], condition=Q(deleted_at__isnull=True), name="deployment_endpoint_unique"
            ),
            models.CheckConstraint(
                condition=Q(endpoint_path__startswith=ENDPOINT_PREFIX), name="deployment_endpoint_canonical"
            ),
            models.CheckConstraint(
                # What is compared with null is not false, and a constraint refuses only what is.
                condition=Q(rate_count__isnull=True, rate_seconds__isnull=True)
                | Q(rate_count__isnull=False, rate_seconds__isnull=False, rate_count__gt=0, rate_seconds__gt=0),
                name="deployment_rate_complete",
            ),
        ]

    def __str__(self) -> str:
        return self.endpoint_path

    @property
    def has_daily_budget(self) -> bool:
        return self.daily_max_tokens is not None or self.daily_max_cost_usd is not None

    @property
    def is_live(self) -> bool:
        return self.deleted_at is None

    def is_known_to(self, principal: Principal) -> bool:
        """What `known_to` says of many rows, of this one."""
        return principal.knows(self.team_id, self.id)
