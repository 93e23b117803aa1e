"""Designs with their immutable versions, and the accounts at model providers."""

import uuid_utils.compat
from django.db import models

from access.encryption import EncryptedTextField
from access.models import TeamOwned, TeamQuerySet
from rest.json_field import VerbatimJSONField


class OrchestrationDesign(TeamOwned):
    """A design that is being worked on: its draft is what was last saved, sound or not."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    draft = VerbatimJSONField(help_text="The design document, format 1, in its canonical form.")
    #: Grows with every save: the ETag of `If-Match`.
    revision = models.PositiveIntegerField(default=1)
    created_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TeamQuerySet.as_manager()

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


class ProviderAccount(TeamOwned):
    """An account at a model provider. Designs name it: `<name>:<model>`; its key is written and never read back."""

    class Kind(models.TextChoices):
        OPENAI = "openai", "OpenAI, or any compatible server by its base URL"
        ANTHROPIC = "anthropic", "Anthropic"
        GOOGLE = "google", "Google"

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    name = models.SlugField(max_length=60, help_text="What designs write before the colon of a model's name.")
    kind = models.CharField(max_length=20, choices=Kind)
    base_url = models.URLField(max_length=500, blank=True, default="")
    api_key = EncryptedTextField(blank=True, default="")
    max_concurrent_calls = models.PositiveIntegerField(null=True, blank=True)
    prices = VerbatimJSONField(
        default=dict,
        blank=True,
        help_text='USD for a million tokens: {"<model>": {"input": "2.50", "output": "10.00"}}. Others come from a'
        " public price list.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TeamQuerySet.as_manager()

    class Meta:
        verbose_name = "provider account"
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="provider_account_name_unique")]

    def __str__(self) -> str:
        return self.name
