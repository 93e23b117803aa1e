"""What a view can answer beside JSON."""

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer, JSONRenderer


class EventStreamRenderer(BaseRenderer):
    """Lets a view accept `Accept: text/event-stream`. The view answers with a stream of its own; problems are JSON."""

    media_type = "text/event-stream"
    format = "sse"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """What is no stream after all (an answer from before the stream began) as one JSON event."""
        return b"data: " + JSONRenderer().render(data) + b"\n\n"


class LinesRenderer(BaseRenderer):
    """Lets a view answer with NDJSON, a stream of its own; problems are JSON."""

    media_type = "application/x-ndjson"
    format = "ndjson"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """What is no stream after all as one line of JSON."""
        return JSONRenderer().render(data) + b"\n"
