"""Deploying, changing and undeploying: one function each, and each one transaction."""

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from access.audit import Action, record_action
from deployments.endpoint_path import canonical_endpoint_path
from deployments.executions.lifecycle import cancel_queued_of_deployment
from deployments.input_schemas import input_schema_of
from deployments.limits import LIMIT_FIELDS, LimitFields
from deployments.models import Deployment, ScheduleConfig
from deployments.retention.policy import RETENTION_FIELDS, RetentionFields
from deployments.scheduling.entries import schedule_deployment, unschedule_deployment
from deployments.scheduling.errors import InvalidSchedule
from deployments.scheduling.failing import SYSTEM
from deployments.scheduling.firing import fire_before_change
from deployments.scheduling.validation import ScheduleFields, checked_schedule, input_problems
from designs.models import DesignVersion, OrchestrationDesign
from designs.versions import freeze_version
from executor.errors import InvalidDesign, Problem

VersionChoice = int | Literal["latest"]
_CHANGED_FIELDS: Final = ("version", "design_name", "status", "status_reason", "updated_by", "updated_at")


class EndpointTaken(Exception):
    """Another live deployment has this endpoint."""

    def __init__(self, endpoint_path: str) -> None:
        self.endpoint_path = endpoint_path
        super().__init__(f"{endpoint_path} is taken. Choose another endpoint_path, or undeploy what is there.")


class UnknownVersion(Exception):
    """The design has no version of that number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"This design has no version {number}. Leave version out to deploy what is saved now.")


class DeploymentGone(Exception):
    """The deployment was undeployed in the meantime."""


class RevisionChanged(Exception):
    """Somebody else has changed the deployment since the caller read it."""


class _Unset(enum.Enum):
    UNSET = "unset"


UNSET: Final = _Unset.UNSET


@dataclass(frozen=True)
class DeploymentChanges:
    """What to change; what is left out stays. A mapping for `schedule`, `limits`, `retention` changes only its fields.

    A `schedule` of None removes the schedule. The version `latest` is what is saved of the design now.
    """

    status: Literal["active", "inactive"] | _Unset = UNSET
    schedule: ScheduleFields | Mapping[str, Any] | _Unset | None = UNSET
    limits: LimitFields | Mapping[str, Any] | _Unset = UNSET
    retention: RetentionFields | Mapping[str, Any] | _Unset = UNSET
    version: VersionChoice | _Unset = UNSET


def deploy_design(
    *,
    design: OrchestrationDesign,
    endpoint_path: str,
    by: str,
    version: VersionChoice = "latest",
    schedule: ScheduleFields | None = None,
) -> Deployment:
    """Deploy a version of the design (by default what is saved now) in the design's team.

    Raises `InvalidEndpointPath`, `EndpointTaken`, `UnknownVersion`, `InvalidDesign`, `InvalidSchedule`.
    """
    path = canonical_endpoint_path(endpoint_path)
    try:
        with transaction.atomic():
            chosen = _choose_version(design, version, by)
            deployment = Deployment.objects.create(
                team_id=design.team_id,
                design=design,
                version=chosen,
                design_name=design.name,
                endpoint_path=path,
                created_by=by,
            )
            if schedule is not None:
                _write_schedule(deployment, schedule)
                _reschedule(deployment, after=timezone.now())
            _record("deployment.deployed", deployment, by, {"design": design.name, "version": chosen.number})
    except IntegrityError:
        # The unique index decides, for two that come at once as well.
        if Deployment.objects.by_endpoint(path).exists():
            raise EndpointTaken(path) from None
        raise
    return deployment


def update_deployment(
    *, deployment_id: UUID, changes: DeploymentChanges, by: str, expected_revision: int | None = None
) -> Deployment:
    """Change a live deployment, all of it or nothing. With `expected_revision` only if it is still that one.

    Raises `DeploymentGone`, `RevisionChanged`, `UnknownVersion`, `InvalidDesign`, `InvalidSchedule`, `InvalidLimits`.
    """
    with transaction.atomic():
        # The update comes first: it takes the row's lock, so that what is read after it cannot change any more.
        _raise_revision(deployment_id, expected_revision)
        deployment: Deployment = Deployment.objects.select_related("design", "version").get(id=deployment_id)
        reschedules = changes.schedule is not UNSET or changes.status is not UNSET
        since = _fire_what_came_before(deployment) if reschedules else None
        if changes.version is not UNSET:
            deployment.version = _choose_version(deployment.design, changes.version, by)
            deployment.design_name = deployment.design.name
        if changes.limits is not UNSET:
            _merged_limits(deployment, changes.limits).put_on(deployment)
        if changes.retention is not UNSET:
            RetentionFields.of(deployment).changed_by(changes.retention).put_on(deployment)
        if changes.status is not UNSET:
            _set_status(deployment, changes.status, by)
        _change_schedule(deployment, changes)
        deployment.updated_by = by
        deployment.save(update_fields=[*_CHANGED_FIELDS, *LIMIT_FIELDS, *RETENTION_FIELDS])
        if since is not None:
            _reschedule(deployment, after=since)
        _record("deployment.changed", deployment, by, _told(changes, deployment))
    return deployment


def undeploy(*, deployment_id: UUID, by: str, expected_revision: int | None = None) -> None:
    """Free the path at once. Running executions finish, queued ones are cancelled, history stays.

    Raises `DeploymentGone`, `RevisionChanged`; then nothing was cancelled.
    """
    with transaction.atomic():
        # Executions before deployments: the order in which everyone takes these locks.
        cancel_queued_of_deployment(deployment_id=deployment_id, by=by)
        _raise_revision(deployment_id, expected_revision)
        for schedule in ScheduleConfig.objects.filter(deployment_id=deployment_id):
            fire_before_change(schedule_id=schedule.id)
            ScheduleConfig.objects.filter(id=schedule.id).update(enabled=False)
            unschedule_deployment(schedule=schedule)
        Deployment.objects.filter(id=deployment_id).update(deleted_at=timezone.now(), updated_at=timezone.now())
        _record("deployment.undeployed", Deployment.objects.get(id=deployment_id), by, {})
        # And once more, without any lock, what this, a beat or a caller has queued since the first time.
        again = partial(cancel_queued_of_deployment, deployment_id=deployment_id, by=by)
        transaction.on_commit(again, robust=True)


def _record(action: Action, deployment: Deployment, by: str, details: Mapping[str, Any]) -> None:
    """Of the transaction that does it."""
    on = ("deployment", deployment.id)
    record_action(action, by=by, team_id=deployment.team_id, on=on, label=deployment.endpoint_path, details=details)


def _told(changes: DeploymentChanges, deployment: Deployment) -> dict[str, Any]:
    """What was set, for the audit. The input of a schedule is a payload, and stays out of it."""
    told: dict[str, Any] = {}
    if changes.version is not UNSET:
        told["version"] = deployment.version.number
    if changes.status is not UNSET:
        told["status"] = changes.status
    if changes.limits is not UNSET:
        told["limits"] = dict(_values_of(changes.limits))
    if changes.retention is not UNSET:
        told["retention"] = dict(_values_of(changes.retention))
    if changes.schedule is not UNSET:
        schedule = None if changes.schedule is None else dict(_values_of(changes.schedule))
        told["schedule"] = schedule and {name: value for name, value in schedule.items() if name != "input_data"}
    return told


def _values_of(given: LimitFields | RetentionFields | ScheduleFields | Mapping[str, Any]) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else asdict(given)


def _raise_revision(deployment_id: UUID, expected: int | None) -> None:
    live = Deployment.objects.live().filter(id=deployment_id)
    rows = live if expected is None else live.filter(revision=expected)
    if rows.update(revision=F("revision") + 1):
        return
    if live.exists():
        raise RevisionChanged("This deployment was changed in the meantime. Read it again, then repeat the change.")
    raise DeploymentGone("This deployment was undeployed in the meantime.")


def _choose_version(design: OrchestrationDesign, version: VersionChoice, by: str) -> DesignVersion:
    if version == "latest":
        return freeze_version(design=design, created_by=by)
    # The design's lock, as for a new version: whoever deletes it meanwhile sees this deployment. Executions that are
    # just accepted, by a beat for one, need not wait for it.
    if not OrchestrationDesign.objects.live().select_for_update(no_key=True).filter(id=design.id).exists():
        raise InvalidDesign([Problem("", "design_deleted", "This design was deleted in the meantime.")])
    chosen = DesignVersion.objects.filter(design=design, number=version).first()
    if chosen is None:
        raise UnknownVersion(version)
    return chosen


def _set_status(deployment: Deployment, status: Literal["active", "inactive"], by: str) -> None:
    if status == "inactive":
        deployment.status_reason = f"Set inactive by {by}."
    elif deployment.status != Deployment.Status.ACTIVE:
        deployment.status_reason = ""
        # An error has paused the schedule; whoever sets the deployment active has seen to its cause. What a person
        # has paused stays so.
        by_system = ScheduleConfig.objects.filter(deployment=deployment, paused_by=SYSTEM)
        by_system.update(paused_by="", paused_reason="", paused_at=None)
    deployment.status = Deployment.Status(status)


def _merged_limits(deployment: Deployment, limits: LimitFields | Mapping[str, Any]) -> LimitFields:
    return limits if isinstance(limits, LimitFields) else replace(LimitFields.of(deployment), **limits)


def _change_schedule(deployment: Deployment, changes: DeploymentChanges) -> None:
    current = ScheduleConfig.objects.filter(deployment=deployment).first()
    if changes.schedule is None:
        if current is not None:
            unschedule_deployment(schedule=current)
            current.delete()
    elif isinstance(changes.schedule, ScheduleFields):
        _write_schedule(deployment, changes.schedule)
    elif changes.schedule is not UNSET:
        base = ScheduleFields() if current is None else ScheduleFields.of(current)
        _write_schedule(deployment, replace(base, **changes.schedule))
    elif current is not None and changes.version is not UNSET:
        _check_input_of(current, deployment)


def _fire_what_came_before(deployment: Deployment) -> datetime:
    """A time that came before the change still belongs to the schedule as it was: it has its row, too. The moment."""
    schedule_id = ScheduleConfig.objects.filter(deployment=deployment).values_list("id", flat=True).first()
    return timezone.now() if schedule_id is None else fire_before_change(schedule_id=schedule_id)


def _reschedule(deployment: Deployment, *, after: datetime) -> None:
    """From that moment on the schedule fires as it now stands; never for the edit itself."""
    schedule = ScheduleConfig.objects.filter(deployment=deployment).first()
    if schedule is not None:
        schedule.deployment = deployment
        schedule_deployment(schedule=schedule, after=after)


def _check_input_of(schedule: ScheduleConfig, deployment: Deployment) -> None:
    """The schedule stays as it is, and what it sends has to suit the version that is now deployed."""
    if problems := input_problems(schedule.input_data, input_schema_of(deployment.version_id)):
        raise InvalidSchedule(problems)


def _write_schedule(deployment: Deployment, schedule: ScheduleFields) -> None:
    # The row stays the same one: its past executions point to it.
    checked = checked_schedule(schedule, input_schema=input_schema_of(deployment.version_id), now=timezone.now())
    ScheduleConfig.objects.update_or_create(
        deployment=deployment, defaults={name: getattr(checked, name) for name in ScheduleFields.__dataclass_fields__}
    )
