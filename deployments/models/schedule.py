"""When a deployment runs by itself."""

import uuid_utils.compat
from django.db import models
from django.db.models import Q

from deployments.models.deployment import Deployment
from rest.json_field import VerbatimJSONField


class ScheduleConfig(models.Model):
    """The schedule of one deployment: cron or interval, its time zone and its policies."""

    class DayMatch(models.TextChoices):
        AND = "and"
        OR = "or"

    class Overlap(models.TextChoices):
        SKIP = "skip"
        QUEUE_ONE = "queue_one"
        CANCEL_PREVIOUS = "cancel_previous"
        ALLOW = "allow"

    class CatchUp(models.TextChoices):
        NONE = "none"
        LATEST = "latest"
        ALL = "all"

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    deployment = models.OneToOneField(Deployment, on_delete=models.CASCADE, related_name="schedule")
    enabled = models.BooleanField(default=True)
    cron_expression = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - null: an interval
    interval_seconds = models.PositiveIntegerField(null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    day_match = models.CharField(max_length=3, choices=DayMatch, null=True, blank=True)  # noqa: DJ001 - null: not asked
    overlap = models.CharField(max_length=20, choices=Overlap, default=Overlap.SKIP)
    catch_up = models.CharField(max_length=10, choices=CatchUp, default=CatchUp.LATEST)
    catch_up_window_seconds = models.PositiveIntegerField(default=3600)
    start_at = models.DateTimeField(null=True, blank=True)
    end_at = models.DateTimeField(null=True, blank=True)
    jitter_seconds = models.PositiveIntegerField(default=0)
    pause_after_failures = models.PositiveIntegerField(null=True, blank=True)
    input_data = VerbatimJSONField(default=dict, blank=True)

    paused_by = models.CharField(max_length=200, blank=True, default="")
    paused_reason = models.TextField(blank=True, default="")
    paused_at = models.DateTimeField(null=True, blank=True)
    #: Since when it is as it is: its last edit, pause, resumption, or change of its deployment's status.
    in_force_since = models.DateTimeField(null=True, blank=True)
    #: The next scheduled time, which is its executions' `scheduled_for`; null while the schedule is not in force.
    next_occurrence_at = models.DateTimeField(null=True, blank=True)
    #: When that one fires, its jitter included.
    next_fire_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "schedule"
        indexes = [models.Index(fields=["next_fire_at"], name="schedule_due", condition=Q(next_fire_at__isnull=False))]
        constraints = [
            models.CheckConstraint(
                condition=Q(cron_expression__isnull=True) | Q(interval_seconds__isnull=True),
                name="schedule_cron_or_interval",
            ),
            models.CheckConstraint(
                condition=Q(enabled=False) | Q(cron_expression__isnull=False) | Q(interval_seconds__isnull=False),
                name="schedule_enabled_has_kind",
            ),
            models.CheckConstraint(
                condition=Q(next_occurrence_at__isnull=True, next_fire_at__isnull=True)
                | Q(next_occurrence_at__isnull=False, next_fire_at__isnull=False),
                name="schedule_next_complete",
            ),
            models.CheckConstraint(
                condition=Q(interval_seconds__isnull=True) | Q(interval_seconds__gt=0),
                name="schedule_interval_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.cron_expression or f"every {self.interval_seconds} s"


class BeatLease(models.Model):
    """Which beat, of those that run, looks after the entries of beat's tables that are not ours. One row."""

    name = models.CharField(primary_key=True, max_length=40)
    owner = models.CharField(max_length=100)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = "beat's lease"

    def __str__(self) -> str:
        return f"{self.name}: {self.owner}"
