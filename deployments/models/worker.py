"""The worker processes: what each tells of itself, and what an operator has asked of it."""

from datetime import datetime, timedelta
from typing import Literal

import uuid_utils.compat
from django.conf import settings
from django.db import models

WorkerState = Literal["working", "draining", "drained", "lost", "stopped"]


class WorkerProcess(models.Model):
    """One worker process from its start to its end. `deployments.executions.presence` alone writes these rows."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    owner = models.CharField(
        "name",
        max_length=200,
        unique=True,
        help_text="Its host, its process and a word of chance; leases name it.",
    )
    release = models.CharField(max_length=50, help_text="The version of this system that it runs.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField("last seen", help_text="By the database's clock.")
    capacity = models.PositiveIntegerField(help_text="The most executions that it runs at once.")
    running = models.PositiveIntegerField(default=0, help_text="How many it ran when it was last seen.")
    loop_lag_ms = models.PositiveIntegerField(
        "lag", default=0, help_text="Milliseconds that its event loop was late, at most, since it was seen before."
    )
    memory_mb = models.PositiveIntegerField("memory", default=0, help_text="MB that it has in use.")
    rests = models.BooleanField(default=False, help_text="It has heard that it is to take no executions.")
    drain_requested_at = models.DateTimeField(null=True, blank=True)
    drain_requested_by = models.CharField(max_length=200, blank=True, default="")
    stopped_at = models.DateTimeField(null=True, blank=True, help_text="When it ended by itself.")

    class Meta:
        verbose_name = "worker"
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return self.owner

    def state_at(self, now: datetime) -> WorkerState:
        """How it is at that moment of the database's clock. What a lost one ran, others take up when its leases end."""
        if self.stopped_at is not None:
            return "stopped"
        if now - self.seen_at > timedelta(seconds=settings.ENVIRONMENT.lease_seconds):
            return "lost"
        if self.drain_requested_at is None:
            return "working"
        return "drained" if self.rests and not self.running else "draining"
