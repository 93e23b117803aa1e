"""An execution's events as Server-Sent Events: `id:` is the seq, `event:` the type, `data:` the whole message."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import cast

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from access.permissions import caller_of
from access.principal import Principal
from deployments.live.admission import Credential, current_admissions, may_follow
from deployments.live.feed import follow
from deployments.live.messages import Message
from deployments.models import ExecutionLog

RETRY_MILLISECONDS = 2_000
#: What is written at a time. A reader that does not keep up is waited for after each.
CHUNK_CHARACTERS = 32 * 1024


def stream_events(request: Request, execution: ExecutionLog, *, after: int) -> StreamingHttpResponse:
    """The events after that seq, as they come, until the one that ends the execution; then the stream closes.

    It also closes when the caller has lost the right to see them.
    """
    principal = caller_of(request)
    # Without its payloads: the stream may last.
    shown = ExecutionLog(id=execution.id, team_id=execution.team_id, deployment_id=execution.deployment_id)
    return StreamingHttpResponse(
        _lines(shown, after, Credential.of(request, principal), principal),
        content_type="text/event-stream",
        headers={
            "Cache-Control": "no-cache, no-transform",
            "X-Accel-Buffering": "no",  # nginx would hold events back
            "Content-Location": f"/api/executions/{execution.id}",
        },
    )


async def _lines(
    execution: ExecutionLog, after: int, credential: Credential, principal: Principal
) -> AsyncIterator[str]:
    # The first line makes the server send the headers, however long the first event takes.
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    with current_admissions().admit(credential, principal, may_follow(execution)) as admission:
        batches = cast("AsyncGenerator[list[Message], None]", follow(execution.id, after=after, admission=admission))
        async with aclosing(batches):  # a viewer that goes away ends the subscription at once
            async for batch in batches:
                for chunk in _chunks(batch):
                    yield chunk
                    if admission.is_over:
                        break
        if admission.closing is not None:
            yield f": {admission.closing.sentence}\n\n"


def _chunks(batch: Sequence[Message]) -> Iterator[str]:
    """The messages in few writes, none of them much larger than a chunk; a comment when there are none."""
    if not batch:
        yield ": still here\n\n"
    chunk = ""
    for message in batch:
        chunk += event_text(message)
        if len(chunk) >= CHUNK_CHARACTERS:
            yield chunk
            chunk = ""
    if chunk:
        yield chunk


def event_text(message: Message) -> str:
    """One message as SSE. A piece of text has no `id`: a viewer resumes after the last event that is kept."""
    position = "" if message.seq is None else f"id: {message.seq}\n"
    return f"{position}event: {message.type}\ndata: {message.text}\n\n"
