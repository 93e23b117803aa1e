"""The history as NDJSON: a line an execution, read page by page: neither memory nor a transaction grows with it.

A line says what the API says of the execution, and nothing more.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from access.audit import record_action
from access.models import AuditRecord
from access.permissions import caller_of
from access.principal import ALL, Everything, Principal
from access.rights import RIGHTS
from deployments.api.serializers import ExecutionSummary
from deployments.executions.database_threads import in_replay_thread
from deployments.live.admission import Credential, current_admissions
from deployments.live.journal_pages import read_page as read_events
from deployments.models import Deployment, ExecutionLog
from deployments.models.execution import ExecutionLogQuerySet
from rest.pagination import read_page
from rest.problems import ApiProblem

#: Executions that are read at a time.
PAGE_ROWS: Final = 200
#: So many within so long, of one caller.
MOST_EXPORTS: Final = 60
EXPORTS_WITHIN: Final = timedelta(hours=1)
VERBS: Final = RIGHTS["execution"]["export"]


class ExportCutOff(Exception):
    """The reader has lost the right to what is exported. The stream breaks, so that no half passes for the whole."""


def export_pieces(executions: ExecutionLogQuerySet, *, with_payloads: bool) -> Iterator[str]:
    """The lines of these executions, newest first, in pieces of bounded size. Each piece is read when it is asked for.

    Between two pieces no cursor and no transaction is open: they may be read in different threads.
    """
    cursor: str | None = None
    while True:
        page = read_page(executions, cursor, limit=PAGE_ROWS)
        if with_payloads:
            for row in page.rows:
                yield from _line_with_payload(row)
        else:
            yield "".join(f"{_json(ExecutionSummary(row).data)}\n" for row in page.rows)
        cursor = page.next_cursor
        if cursor is None:
            return


def _line_with_payload(row: ExecutionLog) -> Iterator[str]:
    """One line. A journal is no bound on memory: its events come in pages."""
    payloads = ExecutionLog.objects.filter(id=row.id).values("input_data", "result_data").first()
    if payloads is None:
        return  # retention has just removed it
    summary = _json({**ExecutionSummary(row).data, **payloads}).removesuffix("}")
    yield f'{summary},"events":['
    after, comma = 0, ""
    while page := read_events(row.id, after):
        yield comma + ",".join(message.text for message in page)
        after, comma = page[-1].seq or after, ","
    yield "]}\n"


def stream_export(request: Request, executions: ExecutionLogQuerySet) -> StreamingHttpResponse:
    """What the request asks for, with its records in the audit."""
    principal = caller_of(request)
    with_payloads = request.query_params.get("with_payloads") == "true"
    _require_few(principal)
    _record(request, principal)
    pieces = export_pieces(executions, with_payloads=with_payloads)
    return StreamingHttpResponse(
        _stream(pieces, Credential.of(request, principal), principal),
        content_type="application/x-ndjson",
        headers={
            "Content-Disposition": 'attachment; filename="executions.ndjson"',
            "Cache-Control": "no-store, no-transform",
            "X-Accel-Buffering": "no",
        },
    )


async def _stream(pieces: Iterator[str], credential: Credential, principal: Principal) -> AsyncIterator[str]:
    with current_admissions().admit(credential, principal, may_read_as(principal)) as admission:
        while (piece := await in_replay_thread(next, pieces, None)) is not None:
            if admission.is_over:
                raise ExportCutOff
            yield piece


def may_read_as(before: Principal) -> Callable[[Principal], bool]:
    """Whether somebody may still read all that this one could when the export began."""

    def may(now: Principal) -> bool:
        teams = _holds(now.teams_with(*VERBS), before.teams_with(*VERBS))
        return teams and _holds(now.deployment_ids, before.deployment_ids)

    return may


def _holds(now: "frozenset[Any] | Everything", before: "frozenset[Any] | Everything") -> bool:
    return now is ALL or (before is not ALL and before <= now)


def _require_few(principal: Principal) -> None:
    """Each is in the audit for good, which nobody is to drown. Raises `ApiProblem`."""
    since = timezone.now() - EXPORTS_WITHIN
    exports = AuditRecord.objects.filter(action="history.exported", actor=principal.label, created_at__gt=since)
    if exports.values("request_id").distinct().count() >= MOST_EXPORTS:
        sentence = f"{MOST_EXPORTS} exports an hour are the most. Ask for more in one of them, or try again later."
        headers = {"Retry-After": str(int(EXPORTS_WITHIN.total_seconds()))}
        raise ApiProblem(429, "export-limit", sentence, headers=headers)


def _record(request: Request, principal: Principal) -> None:
    """One record for the deployment that it is of, else one for each team that the reader sees."""
    details = {name: str(value)[:200] for name, value in request.query_params.items()}
    deployment = _deployment_of(details.get("deployment_id", ""), principal)
    if deployment is not None:
        record_export(principal.label, deployment=deployment, details=details)
        return
    teams = principal.teams_with(*VERBS)
    for team_id in [None] if teams is ALL else sorted(teams):
        record_export(principal.label, team_id=team_id, details=details)


def record_export(
    by: str, *, details: dict[str, Any], deployment: Deployment | None = None, team_id: int | None = None
) -> None:
    """Put it in the audit: of one deployment, else of a team's history, else of all."""
    if deployment is None:
        record_action("history.exported", by=by, team_id=team_id, on=("execution", ""), details=details)
        return
    on, label = ("deployment", deployment.id), deployment.endpoint_path
    record_action("history.exported", by=by, team_id=deployment.team_id, on=on, label=label, details=details)


def _deployment_of(given: str, principal: Principal) -> Deployment | None:
    """The filters have checked the id, if there is one."""
    if not given:
        return None
    found: Deployment | None = Deployment.objects.visible_to(principal, *VERBS).filter(id=UUID(given)).first()
    return found


def _json(value: Any) -> str:
    return JSONRenderer().render(value).decode()
