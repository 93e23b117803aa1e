"""The Celery task of alerts: a hint that some are due. The rows decide which."""

from celery import shared_task

from deployments.executions.publisher import SEND_ALERTS
from deployments.executions.worker import current_worker


@shared_task(name=SEND_ALERTS, ignore_result=True)
def send_alerts() -> None:
    """Let this worker send what is due. It takes no thread while it does: a receiver that stalls costs no execution."""
    current_worker().send_alerts()
