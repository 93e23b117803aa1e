"""Designs with their immutable versions, and the accounts at model providers."""

from typing import Self

import uuid_utils.compat
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import OuterRef, Q, Subquery

from access.encryption import EncryptedTextField
from access.models import TeamOwned, TeamQuerySet
from access.principal import ALL, Principal
from executor.providers.accounts import ACCOUNT_KINDS
from rest.json_field import VerbatimJSONField


class BuildingQuerySet(TeamQuerySet):
    """Rows that designs are built of. A key that is for some deployments only sees none of them."""

    def narrowed_to(self, principal: Principal) -> Self:
        return self if principal.deployment_ids is ALL else self.none()


class DesignQuerySet(BuildingQuerySet):
    """Queries over designs. `live` are those that are not deleted."""

    def narrowed_to(self, principal: Principal) -> Self:
        return super().narrowed_to(principal).live()

    def live(self) -> Self:
        return self.filter(deleted_at__isnull=True)

    def with_latest_version(self) -> Self:
        """Adds `latest_version`, the highest number; None before the first."""
        newest = DesignVersion.objects.filter(design=OuterRef("pk")).order_by("-number")
        return self.annotate(latest_version=Subquery(newest.values("number")[:1]))


class OrchestrationDesign(TeamOwned):
    """A design that is being worked on: its draft is what was last saved, sound or not.

    Deleting keeps the row, so that the history of what ran keeps its design.
    """

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    draft = VerbatimJSONField(help_text="The design document, format 1, in its canonical form.")
    #: Grows with every save: the ETag of `If-Match`.
    revision = models.PositiveIntegerField(default=1)
    created_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = DesignQuerySet.as_manager()

    class Meta:
        verbose_name = "design"
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["team", "-created_at", "-id"], name="design_team_created")]

    def __str__(self) -> str:
        return self.name


class DesignVersion(models.Model):
    """A design as it was deployed or run: numbered, identified by its content's hash, and never changed."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    design = models.ForeignKey(OrchestrationDesign, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64)
    document = VerbatimJSONField()
    created_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "design version"
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["design", "number"], name="version_number_unique"),
            models.UniqueConstraint(fields=["design", "content_hash"], name="version_content_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.design_id} v{self.number}"


class ProviderAccountQuerySet(BuildingQuerySet):
    """Queries over accounts."""

    def without_keys(self) -> Self:
        """Adds `has_key` and leaves the key in the database: who lists accounts has no need to decrypt it."""
        return self.defer("api_key").annotate(
            has_key=models.Case(
                models.When(Q(api_key=""), then=False), default=True, output_field=models.BooleanField()
            )
        )


def account_kinds() -> list[tuple[str, str]]:
    """The kinds of accounts to choose from. A function, so that a new one needs no migration."""
    return [(name, kind.title) for name, kind in ACCOUNT_KINDS.items()]


class ProviderAccount(TeamOwned):
    """An account at a model provider. Designs name it: `<name>:<model>`; its key is written and never read back."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    name = models.SlugField(max_length=60, help_text="What designs write before the colon of a model's name.")
    kind = models.CharField(max_length=20, choices=account_kinds)
    base_url = models.URLField(max_length=500, blank=True, default="")
    api_key = EncryptedTextField(blank=True, default="")
    max_concurrent_calls = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(10_000)]
    )
    prices = VerbatimJSONField(
        default=dict,
        blank=True,
        help_text='USD for a million tokens: {"<model>": {"input": "2.50", "output": "10.00"}}. Others come from a'
        " public price list.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ProviderAccountQuerySet.as_manager()

    class Meta:
        verbose_name = "provider account"
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="provider_account_name_unique")]

    def __str__(self) -> str:
        return self.name
