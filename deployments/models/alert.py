"""Whom a deployment alerts, and what they were told: targets, deliveries, and each try of a delivery."""

from datetime import datetime
from typing import ClassVar, Final, Self
from uuid import UUID

import uuid_utils.compat
from cryptography.fernet import InvalidToken
from django.db import models
from django.db.models import Q

from access.encryption import EncryptedTextField
from deployments.models.deployment import Deployment
from rest.json_field import VerbatimJSONField

#: What a target may ask to be told of.
ALERT_EVENTS: Final = (
    "execution.failed",
    "execution.completed",
    "execution.cancelled",
    "schedule.paused",
    "budget.exhausted",
)
#: What is told besides: a test goes to its one target, and a target that was switched off is told to all the others.
TEST_EVENT: Final = "alert.test"
SWITCHED_OFF_EVENT: Final = "alert.switched_off"


class AlertTargetQuerySet(models.QuerySet["AlertTarget"]):
    """Queries over targets."""

    def present(self) -> Self:
        """Those that are not removed."""
        return self.filter(deleted_at=None)

    def sealed(self) -> Self:
        """Without what is encrypted: where its key is lost nobody but whoever asks for just that is to fail."""
        return self.defer(*AlertTarget.ENCRYPTED)


class AlertTarget(models.Model):
    """A webhook or some e-mail addresses, and the events of one deployment that they are told of.

    One that is removed keeps its row, without its secrets, until its deliveries have gone: whoever ends an execution
    just then must not fail on it.
    """

    class Kind(models.TextChoices):
        WEBHOOK = "webhook"
        EMAIL = "email"

    ENCRYPTED: ClassVar = ("url", "secret", "previous_secret")

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="alert_targets")
    kind = models.CharField(max_length=10, choices=Kind)
    #: Encrypted, since those of chat services open their channel to whoever knows them.
    url = EncryptedTextField(blank=True, default="")
    addresses = models.JSONField(default=list, blank=True)
    events = models.JSONField(default=list, help_text=f"Any of {', '.join(ALERT_EVENTS)}.")
    includes_result = models.BooleanField(default=False)
    #: Of e-mail: after one there is none for so long, and then one about all that came meanwhile.
    throttle_minutes = models.PositiveIntegerField(default=10)
    quiet_until = models.DateTimeField(null=True, blank=True)
    secret = EncryptedTextField(blank=True, default="")
    #: The secret before, with which is signed as well until then.
    previous_secret = EncryptedTextField(blank=True, default="")
    previous_secret_until = models.DateTimeField(null=True, blank=True)

    enabled = models.BooleanField(default=True)
    #: Why it was switched off, where the system did it.
    off_reason = models.TextField(blank=True, default="")
    #: Since when every try has failed; null after one that has not.
    failing_since = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = AlertTargetQuerySet.as_manager()

    class Meta:
        verbose_name = "alert target"
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def shown_url(self) -> str:
        """Empty, too, where none of the keys opens it."""
        return self.read("url")

    def read(self, name: str) -> str:
        """An encrypted column; empty where none of the keys opens it."""
        try:
            return str(getattr(self, name))
        except InvalidToken:
            return ""

    def secrets_at(self, moment: datetime) -> list[str]:
        """Those to sign with then, the newest first."""
        is_kept = self.previous_secret_until is not None and moment < self.previous_secret_until
        return [self.secret, self.previous_secret] if is_kept and self.previous_secret else [self.secret]


class AlertDelivery(models.Model):
    """One thing that one target is told. Made in the transaction of what it tells of, and sent afterwards.

    Its id is the `webhook-id`, the same with every try.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    target = models.ForeignKey(AlertTarget, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event = models.CharField(max_length=40)
    #: History keeps the id of an execution that is gone.
    execution_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True, blank=True)
    payload = VerbatimJSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    tries = models.PositiveIntegerField(default=0, help_text="Those of the present round, begun ones too.")
    #: When it is sent, or sent again; null where it is not pending, or its target is off. While a worker is at it this
    #: is when that one is held to be lost.
    next_try_at = models.DateTimeField(null=True, blank=True)
    #: The e-mail that told of it, where one tells of several: another delivery of its target.
    sent_with = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "alert delivery"
        verbose_name_plural = "alert deliveries"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["target", "created_at", "id"], name="delivery_by_target"),
            models.Index(fields=["created_at"], name="delivery_by_time"),
            models.Index(
                fields=["execution_id"], name="delivery_of_execution", condition=Q(execution_id__isnull=False)
            ),
            models.Index(
                fields=["next_try_at", "target"],
                name="delivery_due",
                condition=Q(status="pending", next_try_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"


class AlertTry(models.Model):
    """One try of a delivery, and what came of it."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    delivery = models.ForeignKey(AlertDelivery, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    status_code = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Of the answer, where one came.")
    answer = models.TextField(blank=True, default="", help_text="Its first bytes.")
    error = models.TextField(blank=True, default="", help_text="Empty where it was delivered.")

    class Meta:
        verbose_name = "alert try"
        verbose_name_plural = "alert tries"
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.delivery_id} at {self.at}"
