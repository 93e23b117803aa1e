"""Running an execution again: from the start, from what failed, or from a block."""

from uuid import UUID

from deployments.executions.journal import stream_recorded
from deployments.executions.reused import ParentGone, Rerun
from deployments.executions.start import Idempotency, Started, find_replay, start_execution
from deployments.input_schemas import input_schema_of
from deployments.limits import CallingKey
from deployments.models import ExecutionEvent, ExecutionLog
from designs.versions import parse_version
from executor.errors import InvalidInput, MalformedDesign
from executor.json_schema import validate_instance
from executor.json_types import JsonObject
from executor.reuse import START, Reuse, select_reuse


class RerunRefused(Exception):
    """The execution cannot be run again as things stand; the message says what to do. `code` is stable."""

    def __init__(self, message: str, *, code: str) -> None:
        self.code = code
        super().__init__(message)


def rerun_execution(
    *,
    parent_id: UUID,
    start_from: str,
    by: str,
    input_data: JsonObject | None = None,
    key: CallingKey | None = None,
    idempotency: Idempotency | None = None,
) -> Started:
    """Accept a new execution of the same version, under the same deployment if there was one; trigger `manual`.

    `start_from` is `start`, `failed` or a block's id (`executor.reuse`). An `input_data` reaches the blocks that run
    again; without one they get the parent's. An `idempotency` counts within the deployment.

    Raises `ParentGone`, `RerunRefused`, `InvalidInput`, `CannotRerun`, and what `start_execution` raises; then nothing
    was accepted.
    """
    parent = _read_parent(parent_id)
    if (earlier := find_replay(deployment=parent.deployment, idempotency=idempotency)) is not None:
        return Started(earlier, replayed=True)
    _refuse_unready(parent)
    _refuse_without_payload(parent, start_from, input_data)
    if input_data is not None:
        _check_input(parent, input_data)
    return start_execution(
        deployment=parent.deployment,
        version=parent.version,
        team_id=parent.team_id,
        input_data=parent.input_data if input_data is None else input_data,
        trigger_type=ExecutionLog.Trigger.MANUAL,
        triggered_by=by,
        key=key,
        idempotency=idempotency,
        rerun=Rerun(parent.id, start_from, _select(parent, start_from)),
        live_text=True,
    )


def _read_parent(parent_id: UUID) -> ExecutionLog:
    rows = ExecutionLog.objects.filter(id=parent_id).select_related("deployment", "version", "design")
    parent: ExecutionLog | None = rows.defer("result_data", "version__document", "design__draft").first()
    if parent is None:
        raise ParentGone("This execution was deleted in the meantime.")
    return parent


def _refuse_unready(parent: ExecutionLog) -> None:
    if not parent.is_terminal:
        message = f"This execution is still {parent.status}. Wait for its end or cancel it, and run it again then."
        raise RerunRefused(message, code="execution-not-ended")
    if parent.deployment is not None and not parent.deployment.is_live:
        message = (
            "The deployment of this execution was undeployed, so nothing runs under it any more. Deploy the design"
            " again and execute that."
        )
        raise RerunRefused(message, code="deployment-undeployed")
    if parent.deployment is None and parent.design.deleted_at is not None:
        raise RerunRefused("The design of this execution was deleted, so it runs no more.", code="design-deleted")


def _refuse_without_payload(parent: ExecutionLog, start_from: str, input_data: JsonObject | None) -> None:
    if parent.payload_removed_at is None:
        return
    gone = f"were removed {parent.payload_removed_in_words}"
    if start_from != START:
        message = f"The results of this execution {gone}, so nothing of it can be reused. Run it from {START}."
        raise RerunRefused(message, code="results-gone")
    if input_data is None:
        message = f"The input and result of this execution {gone}. Send the input to run it with as input_data."
        raise RerunRefused(message, code="input-gone")


def _check_input(parent: ExecutionLog, input_data: JsonObject) -> None:
    schema = input_schema_of(parent.version_id)
    if schema is not None and (problems := validate_instance(schema, input_data)):
        raise InvalidInput(problems)


def _select(parent: ExecutionLog, start_from: str) -> Reuse:
    try:
        design = parse_version(parent.version_id)
    except MalformedDesign as error:
        message = f"This version of the design cannot be read any more, so it runs no more: {error}"
        raise RerunRefused(message, code="version-unreadable") from None
    if start_from == START:
        return select_reuse(design, (), START)
    # Where results are missing that there were, they would be paid for a second time, without anybody having been told.
    if ExecutionEvent.objects.filter(execution=parent).count() != parent.seq:
        message = f"The events of this execution are not all kept any more. It can be run again from {START} only."
        raise RerunRefused(message, code="results-gone")
    return select_reuse(design, stream_recorded(parent.id), start_from)
