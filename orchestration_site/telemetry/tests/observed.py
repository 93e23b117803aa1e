"""What an attempt at an execution tells its followers, for tests of those."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from deployments.telemetry import ObservedFiring, ObservedRun
from executor.events import Event, EventType

EXECUTION = UUID("01990000-0000-7000-8000-000000000001")
DEPLOYMENT = UUID("01990000-0000-7000-8000-000000000002")
SCHEDULE = UUID("01990000-0000-7000-8000-000000000003")
BEGAN = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
KEY = "greet/turn/0/writer"


def observed_run(**fields: Any) -> ObservedRun:
    """A first attempt, two seconds after it was asked for."""
    known: dict[str, Any] = {
        "execution_id": EXECUTION,
        "attempt": 1,
        "deployment_id": DEPLOYMENT,
        "deployment_path": "/api/deployed/greet",
        "trigger": "api",
        "traceparent": TRACEPARENT,
        "created_at": BEGAN - timedelta(seconds=2),
        "kind_of": lambda model: {"mine": "openai", "ours": "google"}.get(model.partition(":")[0], ""),
    }
    return ObservedRun(**known | fields)


def observed_firing() -> ObservedFiring:
    """A scheduled time of noon, with a jitter of three seconds."""
    fires_at = BEGAN + timedelta(seconds=3)
    return ObservedFiring(EXECUTION, SCHEDULE, DEPLOYMENT, "/api/deployed/greet", BEGAN, fires_at)


def event(event_type: EventType, seconds: float, /, *, key: str | None = None, **payload: Any) -> Event:
    """An event of the block `greet`, so long after the beginning; with a key one of its agent Writer."""
    at = BEGAN + timedelta(seconds=seconds)
    block = None if event_type.startswith("execution.") else "greet"
    return Event(event_type, at, block, None if key is None else "Writer", key, payload)


def started(seconds: float, *, model: str = "mine:gpt", **payload: Any) -> Event:
    told = {"model": model, "prompt": "Greet Ada.", "system_prompt": "Use sk-S3cret-value-0123."}
    return event("agent.started", seconds, key=KEY, **told | payload)


def retrying(seconds: float, *, code: str = "rate_limited", model: str = "mine:gpt", wait: float = 1) -> Event:
    return event("agent.retrying", seconds, key=KEY, code=code, model=model, wait_seconds=wait)


def completed(seconds: float, *, model: str = "mine:gpt", **payload: Any) -> Event:
    usage = {"input_tokens": 12, "output_tokens": 5, "estimated": False}
    answer = {"model": model, "usage": usage, "cost": "0.000170000", "output": "Hello Ada, sk-S3cret-value-0123."}
    return event("agent.completed", seconds, key=KEY, **answer | payload)


def failed(seconds: float, *, code: str, tokens: int = 0) -> Event:
    usage = {"input_tokens": tokens, "output_tokens": tokens, "estimated": False}
    answer = {"model": "mine:gpt", "usage": usage, "cost": "0.000000000", "output": None, "code": code}
    return event("agent.failed", seconds, key=KEY, **answer)
