"""An execution's events as Server-Sent Events: `id:` is the seq, `event:` the type, `data:` the whole message."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast
from uuid import UUID

from django.http import StreamingHttpResponse

from deployments.live.feed import follow

RETRY_MILLISECONDS = 2_000


def stream_events(execution_id: UUID, *, after: int) -> StreamingHttpResponse:
    """The events after that seq, as they come, until the one that ends the execution; then the stream closes."""
    return StreamingHttpResponse(
        _lines(execution_id, after),
        content_type="text/event-stream",
        headers={
            "Cache-Control": "no-cache, no-transform",
            "X-Accel-Buffering": "no",  # nginx would hold events back
            "Content-Location": f"/api/executions/{execution_id}",
        },
    )


async def _lines(execution_id: UUID, after: int) -> AsyncIterator[str]:
    # The first line makes the server send the headers, however long the first event takes.
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    messages = cast("AsyncGenerator[dict[str, Any] | None, None]", follow(execution_id, after=after))
    async with aclosing(messages):  # a viewer that goes away ends the subscription at once
        async for message in messages:
            yield ": still here\n\n" if message is None else event_text(message)


def event_text(message: dict[str, Any]) -> str:
    """One message as SSE. A piece of text has no `id`: a viewer resumes after the last event that is kept."""
    position = f"id: {message['seq']}\n" if "seq" in message else ""
    data = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return f"{position}event: {message['type']}\ndata: {data}\n\n"
