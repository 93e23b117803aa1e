"""A call of a deployment, from its checked input to its answer: what the endpoint, the button and drafts share."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from access.permissions import caller_of
from deployments.api.preferences import Waiting, draft_has_no_keys, read_idempotency, read_waiting
from deployments.api.rate_limit_headers import headers_in, headers_of
from deployments.api.refusals import field_errors_of, starts_as_problems
from deployments.days import seconds_to_next_day
from deployments.executions.database_threads import in_database_thread
from deployments.executions.start import Started, find_replay, publish_accepted, start_execution
from deployments.input_schemas import input_schema_of
from deployments.keys import calling_key
from deployments.live.sse import stream_events
from deployments.live.waiting import wait_for_end
from deployments.models import Deployment, ExecutionLog
from deployments.money import money_text
from deployments.prepared_statements import PreparedRead
from designs.models import DesignVersion
from executor.json_schema import validate_instance
from executor.json_types import JsonObject
from rest.async_view import with_tail
from rest.negotiation import EventStreamRenderer
from rest.outages import DATABASE_OUTAGES
from rest.problems import ApiProblem, FieldError, invalid

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 1
_OUTCOME = PreparedRead(
    ExecutionLog,
    lambda slot: ExecutionLog.objects.filter(id=slot("id")).only(
        "status", "result_data", "usage", "cost", "duration_ms", "error", "error_code", "error_detail"
    ),
)
#: The statuses of failures by their `error_code`; any other is a 500.
STATUS_OF_FAILURE = {
    "provider_error": (502, "provider-failed"),
    "timeout": (504, "deadline-passed"),
    "daily_budget_exceeded": (429, "daily-budget"),
}


def call_endpoint(request: Request, deployment: Deployment, input_data: JsonObject) -> HttpResponseBase:
    """The call of a deployed endpoint. Only an active deployment answers one."""
    return _call(request, deployment, input_data, trigger_type="api", check=_check_active)


def call_by_hand(request: Request, deployment: Deployment, input_data: JsonObject) -> HttpResponseBase:
    """The call of the execute button, which works while the deployment is inactive or in error."""
    return _call(request, deployment, input_data, trigger_type="manual", check=None, pointer="/input_data")


def call_draft(request: Request, version: DesignVersion, team_id: int, input_data: JsonObject) -> HttpResponseBase:
    """The run of a design that is not deployed."""
    if "HTTP_IDEMPOTENCY_KEY" in request.META:
        raise draft_has_no_keys()
    check_input(version.id, input_data, pointer="/input_data")
    waiting = _how_to_answer(request)
    with starts_as_problems():
        started = start_execution(
            deployment=None,
            version=version,
            team_id=team_id,
            input_data=input_data,
            trigger_type="manual",
            triggered_by=caller_of(request).label,
            key=calling_key(caller_of(request)),
            live_text=True,
            publishes=not _waits(waiting),
        )
    return _answer(request, started, waiting)


def check_input(version_id: UUID, input_data: JsonObject, *, pointer: str = "") -> None:
    """Raises the 422 with all that the version's input schema does not allow."""
    schema = input_schema_of(version_id)
    if schema is not None and (problems := validate_instance(schema, input_data)):
        raise invalid(field_errors_of(problems, below=pointer))


def require_object(value: Any) -> JsonObject:
    """The input of an execution is a JSON object. Raises the 422."""
    if not isinstance(value, dict):
        raise invalid([FieldError("", "type", "The input has to be a JSON object.")])
    return value


def _call(
    request: Request,
    deployment: Deployment,
    input_data: JsonObject,
    *,
    trigger_type: str,
    check: Callable[[Deployment], None] | None,
    pointer: str = "",
) -> HttpResponseBase:
    idempotency, waiting = read_idempotency(request, input_data), _how_to_answer(request)
    with starts_as_problems():
        if (earlier := find_replay(deployment=deployment, idempotency=idempotency)) is not None:
            return _answer(request, Started(earlier, replayed=True), waiting)
        if check is not None:
            check(deployment)
        check_input(deployment.version_id, input_data, pointer=pointer)
        started = start_execution(
            deployment=deployment,
            version=deployment.version,
            team_id=deployment.team_id,
            input_data=input_data,
            trigger_type=trigger_type,
            triggered_by=caller_of(request).label,
            key=calling_key(caller_of(request)),
            idempotency=idempotency,
            live_text=trigger_type == "manual" or waiting is None,
            publishes=not _waits(waiting),
        )
    return _answer(request, started, waiting)


def _check_active(deployment: Deployment) -> None:
    if deployment.status != Deployment.Status.ACTIVE:
        raise ApiProblem(
            409,
            f"deployment-{deployment.status}",
            f"This deployment is {deployment.status}. {deployment.status_reason or 'Set it active first.'}",
            status_reason=deployment.status_reason,
        )


def _how_to_answer(request: Request) -> Waiting | None:
    """How long to wait for the result; None for a stream of events."""
    return None if request.accepted_renderer.format == EventStreamRenderer.format else read_waiting(request)


def _waits(waiting: Waiting | None) -> bool:
    """Whether a caller listens for the end, and so publishes the execution only then."""
    return waiting is not None and waiting.seconds > 0


def _answer(request: Request, started: Started, waiting: Waiting | None) -> HttpResponseBase:
    execution_id, limits = started.execution.id, headers_of(started.quotas)
    if waiting is None:
        stream = stream_events(request, started.execution, after=0)
        for name, value in limits.items():
            stream[name] = value
        return stream
    response = _accepted(execution_id, waiting, limits)
    if started.replayed:
        response["Idempotency-Replayed"] = "true"
        if started.execution.is_terminal:
            return _ended(response, execution_id, _read_outcome(execution_id))
    if not _waits(waiting):
        return response
    begin = None if started.replayed else partial(publish_accepted, execution_id)
    return with_tail(response, _waiter(execution_id, waiting, begin))


def _accepted(execution_id: UUID, waiting: Waiting, limits: Mapping[str, str]) -> Response:
    url = f"/api/executions/{execution_id}"
    headers = {"Location": url, "Retry-After": str(RETRY_AFTER_SECONDS), **limits}
    if waiting.applied is not None:
        headers["Preference-Applied"] = waiting.applied
    body = {"execution_id": str(execution_id), "status": "queued", "url": url}
    return Response(body, status=202, headers=headers)


def _waiter(
    execution_id: UUID, waiting: Waiting, begin: Callable[[], None] | None
) -> Callable[[Response], Awaitable[None]]:
    async def wait(response: Response) -> None:
        try:
            has_ended = await wait_for_end(execution_id, seconds=waiting.seconds, begin=begin)
            outcome = await in_database_thread(_read_outcome, execution_id)
        except DATABASE_OUTAGES as error:
            # It is accepted and will run: a 503 would make the caller ask for it again.
            log.warning("Execution %s runs, but its end cannot be looked up: %s", execution_id, error)
            return
        if has_ended:
            _ended(response, execution_id, outcome)
        else:
            response.data["status"] = outcome.status

    return wait


def _read_outcome(execution_id: UUID) -> ExecutionLog:
    execution = _OUTCOME.first(id=execution_id)
    if execution is None:
        raise Http404
    return execution


def _ended(response: Response, execution_id: UUID, outcome: ExecutionLog) -> Response:
    """Make it the answer of an execution that has ended. Raises the problem of one that did not complete."""
    url = f"/api/executions/{execution_id}"
    if outcome.status != ExecutionLog.Status.COMPLETED:
        raise _problem_of(execution_id, url, outcome, headers_in(response))
    response.status_code = 200
    del response["Location"]
    del response["Retry-After"]
    response["Content-Location"] = url
    response.data = {
        "execution_id": str(execution_id),
        "status": outcome.status,
        "result": outcome.result_data["output"],
        "usage": outcome.usage,
        "cost": None if outcome.cost is None else money_text(outcome.cost),
        "duration_ms": outcome.duration_ms,
    }
    return response


def _problem_of(execution_id: UUID, url: str, outcome: ExecutionLog, limits: Mapping[str, str]) -> ApiProblem:
    place: dict[str, Any] = {"execution_id": str(execution_id), "url": url}
    headers = {"Content-Location": url, **limits}
    if outcome.status != ExecutionLog.Status.FAILED:
        sentence = outcome.error or "The execution was cancelled."
        return ApiProblem(409, "execution-cancelled", sentence, headers=headers, **place)
    status, slug = STATUS_OF_FAILURE.get(outcome.error_code, (500, "execution-failed"))
    if status == 429:
        headers["Retry-After"] = str(seconds_to_next_day(timezone.now()))
    detail = outcome.error_detail or {}
    return ApiProblem(
        status,
        slug,
        outcome.error or "The execution failed.",
        headers=headers,
        **place,
        block_id=detail.get("block_id"),
        agent=detail.get("agent"),
        cause=detail.get("cause") or outcome.error_code,
    )
