"""What `pause` and `resume` have in common: a schedule, or the whole endpoint."""

from typing import Literal

from django.core.management.base import CommandError

from deployments.deploying import DeploymentChanges, DeploymentGone, update_deployment
from deployments.models import Deployment, ScheduleConfig
from deployments.scheduling.errors import InvalidSchedule


def find_schedule(deployment: Deployment) -> ScheduleConfig:
    """Its schedule. Raises `CommandError` where it has none."""
    schedule = ScheduleConfig.objects.select_related("deployment").filter(deployment=deployment).first()
    if schedule is None:
        sentence = f"{deployment.endpoint_path} has no schedule. With --endpoint the command is for its calls."
        raise CommandError(sentence)
    return schedule


def set_status(deployment: Deployment, status: Literal["active", "inactive"], *, by: str) -> bool:
    """Let the endpoint take calls, or refuse them. False where it was so already."""
    if deployment.status == status:
        return False
    try:
        update_deployment(deployment_id=deployment.id, changes=DeploymentChanges(status=status), by=by)
    except (DeploymentGone, InvalidSchedule) as refused:
        raise CommandError(str(refused)) from None
    return True


def next_time_of(schedule: ScheduleConfig) -> str:
    """When it fires next, in a sentence."""
    if schedule.next_occurrence_at is None:
        return "It has no next time: look at its end, and whether its deployment is active."
    return f"Its next time is {schedule.next_occurrence_at:%Y-%m-%d %H:%M:%S} UTC."
