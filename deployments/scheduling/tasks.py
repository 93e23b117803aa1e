"""The task of our entries in beat's tables, for a stock beat: our own beat fires without it."""

from uuid import UUID

from celery import shared_task

from deployments.scheduling.entries import FIRE_SCHEDULE
from deployments.scheduling.firing import fire_due


@shared_task(name=FIRE_SCHEDULE, ignore_result=True)
def fire_schedule(schedule_id: str) -> None:
    """Fire what is due of the schedule. Being told too often, or by several beats, changes nothing."""
    fire_due(schedule_id=UUID(schedule_id))
