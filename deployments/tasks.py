"""Where Celery looks for tasks."""

from deployments.executions.tasks import run_execution

__all__ = ["run_execution"]
