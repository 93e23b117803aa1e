"""Rows for tests: a design, its version, a deployment of it, an execution."""

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from string import ascii_lowercase
from typing import Any

from django.utils import timezone

from access.models import Team
from deployments.alerts.outbox import write_alerts_of_ended
from deployments.alerts.signing import make_secret
from deployments.executions import lifecycle
from deployments.executions.limits import ExecutionLimits
from deployments.models import AlertTarget, Deployment, ExecutionLog, ScheduleConfig
from deployments.scheduling.entries import schedule_deployment
from designs.models import DesignVersion, OrchestrationDesign
from executor.json_types import Json, JsonObject


def one_agent_document(*, name: str = "Greeter", model: str = "offline:demo") -> JsonObject:
    """The smallest design that runs: one sequential block of one agent."""
    agent: JsonObject = {
        "id": "writer",
        "name": "Writer",
        "role": "worker",
        "system_prompt": "Be brief.",
        "model": model,
    }
    block: JsonObject = {
        "id": "greet",
        "type": "sequential",
        "data": {"label": "Greet", "task": "Greet the person.", "agents": [agent], "config": {}},
    }
    return {"format": 1, "name": name, "blocks": [block], "connections": []}


def chain_document(*models: str, tasks: Mapping[str, str] | None = None, **fields: Any) -> JsonObject:
    """Blocks one after the other, `a`, `b`, …, each of one agent `Worker` with one try on its model."""
    ids = ascii_lowercase[: len(models)]
    blocks: list[Json] = [
        {
            "id": block_id,
            "type": "sequential",
            "data": {
                "label": block_id.upper(),
                "task": (tasks or {}).get(block_id, "Work on it."),
                "agents": [{"id": "worker", "name": "Worker", "model": model, "settings": {"tries": 1}}],
            },
        }
        for block_id, model in zip(ids, models, strict=True)
    ]
    connections: list[Json] = [
        {"id": f"{source}-{target}", "source": source, "target": target} for source, target in pairwise(ids)
    ]
    return {"format": 1, "name": "Chain", "blocks": blocks, "connections": connections, **fields}


def make_version(document: JsonObject | None = None, *, team: Team | None = None) -> DesignVersion:
    """Version 1 of a new design."""
    document = document or one_agent_document()
    design = OrchestrationDesign.objects.create(
        team=team or Team.default(), name=str(document["name"]), draft=document, created_by="user:test"
    )
    return DesignVersion.objects.create(design=design, number=1, content_hash="0" * 64, document=document)


def make_deployment(path: str = "greet", *, version: DesignVersion | None = None, **fields: Any) -> Deployment:
    """An active deployment at `/api/deployed/<path>`."""
    version = version or make_version()
    return Deployment.objects.create(
        team=version.design.team,
        design=version.design,
        version=version,
        design_name=version.design.name,
        endpoint_path=f"/api/deployed/{path}",
        **fields,
    )


def make_queued(deployment: Deployment | None = None, **fields: Any) -> ExecutionLog:
    """A queued execution, accepted as `start_execution` does it, that no worker is told of."""
    deployment = deployment or make_deployment()
    execution = ExecutionLog(
        team=deployment.team,
        deployment=deployment,
        design=deployment.design,
        version=deployment.version,
        triggered_by="key:test",
        limits=ExecutionLimits.of(deployment).as_json(),
        is_limited=deployment.max_concurrent is not None,
        **{"trigger_type": "api", "created_at": timezone.now()} | fields,
    )
    lifecycle.accept(execution)
    return execution


def make_ended(deployment: Deployment, *, at: datetime, status: str = "completed", **fields: Any) -> ExecutionLog:
    """An execution of the deployment that began and ended then."""
    values = {"trigger_type": "api", "created_at": at, "completed_at": at} | fields
    return ExecutionLog.objects.create(
        team=deployment.team,
        deployment=deployment,
        design=deployment.design,
        version=deployment.version,
        status=status,
        **values,
    )


def make_told(deployment: Deployment, **fields: Any) -> ExecutionLog:
    """An execution that has failed just now, and whose alerts are written."""
    values = {"status": "failed", "error_code": "timeout", "error": "It took too long."} | fields
    execution = make_ended(deployment, at=timezone.now(), **values)
    write_alerts_of_ended({execution.id: deployment.id})
    return execution


def make_schedule(
    deployment: Deployment | None = None, *, after: datetime | None = None, **fields: Any
) -> ScheduleConfig:
    """A schedule in force since `after`, by default since now; every minute unless `fields` say otherwise."""
    if not {"cron_expression", "interval_seconds"} & set(fields):
        fields["interval_seconds"] = 60
    schedule = ScheduleConfig.objects.create(deployment=deployment or make_deployment(), **fields)
    schedule_deployment(schedule=schedule, after=after or timezone.now())
    return schedule


def make_alert(deployment: Deployment | None = None, **fields: Any) -> AlertTarget:
    """A webhook that is told of failures, unless `fields` say otherwise."""
    values = {
        "kind": "webhook",
        "url": "https://example.com/hook",
        "events": ["execution.failed"],
        "secret": make_secret(),
        "created_by": "user:test",
    }
    return AlertTarget.objects.create(deployment=deployment or make_deployment(), **values | fields)
