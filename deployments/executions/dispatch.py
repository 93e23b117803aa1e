"""Which queued executions the workers are told of, beyond those that were just accepted."""

from uuid import UUID

from deployments.executions.publisher import publisher
from deployments.models import Deployment, ExecutionLog


def publish_next_of(deployment_id: UUID) -> int:
    """Publish the oldest queued executions of a deployment that limits its concurrency, as many as fit now.

    Publishing too many does no harm: the claim counts again, under the deployment's lock. Returns how many.
    """
    limit = Deployment.objects.values_list("max_concurrent", flat=True).get(id=deployment_id)
    executions = ExecutionLog.objects.filter(deployment_id=deployment_id)
    running = executions.filter(status=ExecutionLog.Status.RUNNING).count()
    queued = executions.filter(status=ExecutionLog.Status.QUEUED, is_limited=True).order_by("created_at", "id")
    room = None if limit is None else max(0, limit - running)
    waiting = list(queued.values_list("id", "attempt")[:room])
    for execution_id, attempt in waiting:
        publisher.publish(execution_id, attempt)
    return len(waiting)
