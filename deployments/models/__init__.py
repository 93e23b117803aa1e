"""The rows: rules about one stand on its model, queries on its queryset."""

from deployments.models.alert import AlertDelivery, AlertTarget, AlertTry
from deployments.models.api_key import ApiKey
from deployments.models.deployment import Deployment
from deployments.models.execution import ExecutionEvent, ExecutionLog, IdempotencyKey
from deployments.models.schedule import BeatLease, ScheduleConfig
from deployments.models.use import DailyCharge, DailyUse, RateWindow, RetentionTally
from deployments.models.worker import WorkerProcess

__all__ = [
    "AlertDelivery",
    "AlertTarget",
    "AlertTry",
    "ApiKey",
    "BeatLease",
    "DailyCharge",
    "DailyUse",
    "Deployment",
    "ExecutionEvent",
    "ExecutionLog",
    "IdempotencyKey",
    "RateWindow",
    "RetentionTally",
    "ScheduleConfig",
    "WorkerProcess",
]
