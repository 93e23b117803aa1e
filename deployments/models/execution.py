"""What ran: the audit row of an execution, its journal, and the keys that make a call safe to repeat."""

from datetime import UTC
from typing import Self
from uuid import UUID

import uuid_utils.compat
from django.db import models
from django.db.models import F, Q

from access.models import Team, TeamOwned, TeamQuerySet
from access.principal import ALL, Principal, Verb
from deployments.models.api_key import ApiKey
from deployments.models.deployment import Deployment
from deployments.models.schedule import ScheduleConfig
from designs.models import DesignVersion, OrchestrationDesign
from rest.json_field import VerbatimJSONField
from rest.searching import SearchMixin

UNFINISHED_STATUSES = ("queued", "running")
TERMINAL_STATUSES = ("completed", "failed", "cancelled", "skipped")


class ExecutionLogQuerySet(SearchMixin, TeamQuerySet):
    """Queries over executions."""

    def narrowed_to(self, principal: Principal) -> Self:
        return self if principal.deployment_ids is ALL else self.filter(deployment_id__in=principal.deployment_ids)

    def without_payloads(self) -> Self:
        """For lists: what is large stays in the database."""
        return self.defer("input_data", "result_data")

    def unfinished(self) -> Self:
        return self.exclude(status__in=TERMINAL_STATUSES)


class ExecutionLog(TeamOwned):
    """One execution. This row is the truth about it; the broker's message is only a hint.

    Only `deployments.executions.lifecycle` changes its status.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"
        SKIPPED = "skipped"

    class Trigger(models.TextChoices):
        MANUAL = "manual"
        SCHEDULED = "scheduled"
        API = "api"

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    #: Without an index of its own, to be written with each change of a row: `execution_by_team` begins with it.
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+", db_index=False)
    deployment = models.ForeignKey(
        Deployment, on_delete=models.PROTECT, null=True, blank=True, related_name="executions", db_index=False
    )
    design = models.ForeignKey(OrchestrationDesign, on_delete=models.PROTECT, related_name="executions")
    version = models.ForeignKey(DesignVersion, on_delete=models.PROTECT, related_name="executions", db_index=False)
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="reruns")
    #: History keeps the id of a schedule that was removed: taking it out of a million rows would lock them all.
    schedule = models.ForeignKey(
        ScheduleConfig,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="executions",
        db_index=False,
    )
    scheduled_for = models.DateTimeField(null=True, blank=True)

    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    trigger_type = models.CharField(max_length=10, choices=Trigger)
    triggered_by = models.CharField(max_length=200, blank=True, default="")
    #: The key that asked for it. History keeps the id of one that was removed.
    api_key = models.ForeignKey(
        ApiKey,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    input_data = VerbatimJSONField(default=dict)
    result_data = VerbatimJSONField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    error_code = models.CharField(max_length=40, blank=True, default="")
    error_detail = VerbatimJSONField(default=dict, blank=True, help_text="block_id, agent and cause of a failure.")
    reason = models.CharField(max_length=40, blank=True, default="", help_text="Why a scheduled time was skipped.")
    usage = VerbatimJSONField(null=True, blank=True)
    cost = models.DecimalField(max_digits=18, decimal_places=9, null=True, blank=True)
    limits = VerbatimJSONField(default=dict, help_text="The ceilings that this execution was accepted with.")
    #: Whether the models' text is streamed to viewers while it is written.
    live_text = models.BooleanField(default=False)
    #: The W3C trace context of the request that asked for it: workers continue that trace, whoever tells them of it.
    #: The database has the default too, for processes of an older release that know no such column.
    traceparent = models.CharField(max_length=55, blank=True, default="", db_default="", editable=False)
    #: The `X-Request-ID` of the request that asked for it: workers' lines of it bear the same id.
    request_id = models.CharField(max_length=128, blank=True, default="", db_default="")

    attempt = models.PositiveIntegerField(default=0)
    losses = models.PositiveSmallIntegerField(default=0)
    lease_owner = models.CharField(max_length=100, blank=True, default="")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    next_run_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=200, blank=True, default="")
    #: Whether the deployment limited its concurrency when this was accepted: then a claim counts under its lock.
    is_limited = models.BooleanField(default=False)
    #: Whether it is not to start before the earlier executions of its schedule have ended.
    waits_for_previous = models.BooleanField(default=False)
    seq = models.PositiveIntegerField(default=0)

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveBigIntegerField(null=True, blank=True)

    #: When retention took input, result and events away, and which period was over: `after 30 days`.
    payload_removed_at = models.DateTimeField(null=True, blank=True)
    payload_removed_why = models.CharField(max_length=60, blank=True, db_default="", default="")

    objects = ExecutionLogQuerySet.as_manager()

    class Meta:
        verbose_name = "execution"
        ordering = ["-created_at", "-id"]
        indexes = [
            # The history is read backwards through these, by what is seen and asked for. Rows come with rising times:
            # falling ones would leave every page of the index half empty. Status and team are in all of them, so that
            # counting over time, and looking how far a search goes, read nothing but the index.
            models.Index(fields=["deployment", "created_at", "id", "status", "team"], name="execution_by_deployment"),
            models.Index(fields=["team", "created_at", "id", "status"], name="execution_by_team"),
            models.Index(fields=["created_at", "id", "status", "team"], name="execution_by_time"),
            models.Index(fields=["status", "created_at", "id", "team"], name="execution_by_status"),
            models.Index(fields=["started_at"], name="execution_started"),
            models.Index(fields=["created_at"], name="execution_queued", condition=Q(status="queued")),
            models.Index(fields=["lease_expires_at"], name="execution_leased", condition=Q(status="running")),
            models.Index(
                fields=["schedule"],
                name="execution_schedule_open",
                condition=Q(schedule__isnull=False, status__in=UNFINISHED_STATUSES),
            ),
            models.Index(fields=["created_at"], name="execution_waiting", condition=Q(waits_for_previous=True)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "scheduled_for"],
                condition=Q(schedule__isnull=False),
                name="execution_occurrence_unique",
            ),
            models.CheckConstraint(
                condition=Q(status="running", lease_expires_at__isnull=False)
                | (~Q(status="running") & Q(lease_expires_at__isnull=True)),
                name="execution_running_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(status__in=TERMINAL_STATUSES, completed_at__isnull=False)
                | (~Q(status__in=TERMINAL_STATUSES) & Q(completed_at__isnull=True)),
                name="execution_terminal_is_complete",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def execution_id(self) -> UUID:
        """The same id under the name that callers know it by."""
        return self.id

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL_STATUSES

    @property
    def payload_removed_in_words(self) -> str:
        """The end of a sentence about what is gone: `by retention on 2026-03-01, after 30 days`."""
        day = "" if self.payload_removed_at is None else f" on {self.payload_removed_at.astimezone(UTC):%Y-%m-%d}"
        return f"by retention{day}, {self.payload_removed_why}"

    def is_visible_to(self, principal: Principal, *verbs: Verb) -> bool:
        """What `visible_to` says of many rows, of this one. Its team and deployment never change."""
        return principal.knows(self.team_id, self.deployment_id) and principal.may_in(self.team_id, *verbs)


class ExecutionEvent(models.Model):
    """One line of an execution's journal. Append-only; the writer makes its id, so that a commit can be repeated."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    execution = models.ForeignKey(ExecutionLog, on_delete=models.CASCADE, related_name="events", db_index=False)
    seq = models.PositiveIntegerField()
    type = models.CharField(max_length=40)
    block_id = models.CharField(max_length=100, blank=True, default="")
    agent = models.CharField(max_length=200, blank=True, default="")
    key = models.CharField(max_length=400, blank=True, default="")
    payload = VerbatimJSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        verbose_name = "event"
        ordering = ["execution", "seq"]
        constraints = [
            models.UniqueConstraint(fields=["execution", "seq"], name="event_seq_unique"),
            models.UniqueConstraint(
                fields=["execution", "key"],
                condition=Q(type__in=("agent.completed", "agent.failed", "decision")) & ~Q(key=""),
                name="event_result_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id} #{self.seq} {self.type}"


class IdempotencyKey(models.Model):
    """A caller's promise that two requests are one. `principal` is the key's or the user's id."""

    principal = models.CharField(max_length=60)
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    execution = models.ForeignKey(ExecutionLog, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = "idempotency key"
        constraints = [
            models.UniqueConstraint(fields=["principal", "deployment", "key"], name="idempotency_key_unique")
        ]

    def __str__(self) -> str:
        return self.key


#: The order in which lists show executions: newest first, and stable among equals.
NEWEST_FIRST = (F("created_at").desc(), F("id").desc())
