"""The execution of a scheduled time: what `start_execution` makes of a call, made of a schedule's decision."""

from datetime import datetime, timedelta

import uuid_utils.compat

from deployments.executions.limits import ExecutionLimits
from deployments.models import ExecutionLog, ScheduleConfig
from deployments.scheduling.policies import Decision

TRIGGERED_BY = "schedule"


def new_occurrence(*, schedule: ScheduleConfig, decision: Decision, now: datetime) -> ExecutionLog:
    """The row for that time, not yet stored; `schedule` comes with its deployment. A skipped one has its reason."""
    deployment = schedule.deployment
    limits = ExecutionLimits.of(deployment)
    deadline = now + timedelta(seconds=limits.deadline_seconds)
    return ExecutionLog(
        id=uuid_utils.compat.uuid7(),
        team_id=deployment.team_id,
        deployment=deployment,
        design_id=deployment.design_id,
        version_id=deployment.version_id,
        schedule_id=schedule.id,
        scheduled_for=decision.occurrence,
        trigger_type=ExecutionLog.Trigger.SCHEDULED,
        triggered_by=TRIGGERED_BY,
        input_data=schedule.input_data,
        limits=limits.as_json(),
        is_limited=deployment.max_concurrent is not None,
        reason=decision.skipped or "",
        waits_for_previous=decision.waits,
        created_at=now,
        dispatched_at=now,
        # What waits for others has no deadline before it may run.
        deadline_at=None if decision.waits else deadline,
    )
