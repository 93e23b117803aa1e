"""The Celery tasks of executions. Their arguments are hints; the rows decide."""

from uuid import UUID

from celery import shared_task

from deployments.executions.publisher import RUN_EXECUTION
from deployments.executions.worker import current_worker


@shared_task(name=RUN_EXECUTION, ignore_result=True)
def run_execution(execution_id: str, attempt: int) -> None:
    """Run the execution to its end, on the worker's event loop."""
    current_worker().run(UUID(execution_id), attempt)
