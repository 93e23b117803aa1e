"""What a run does, as lines for a terminal."""

from collections.abc import Callable

from executor.events import Delta, Event, RecordedEvent
from executor.terminal_text import printable


class TerminalProgress:
    """Writes a line for each event, and each agent's text as it comes, under the agent's name."""

    def __init__(self, write: Callable[..., object]) -> None:
        self._write = write
        self._speaking: str | None = None

    def show_event(self, recorded: RecordedEvent) -> None:
        """To be called with every event, in order."""
        self._end_text()
        self._write(f"{recorded.event.at:%H:%M:%S}  {printable(_line(recorded.event))}")

    def show_delta(self, delta: Delta) -> None:
        """To be called with every piece of text."""
        if self._speaking != delta.key:
            self._end_text()
            self._write(f"          {printable(delta.agent)}: ", ending="")
            self._speaking = delta.key
        self._write(printable(delta.text), ending="")

    def _end_text(self) -> None:
        if self._speaking is not None:
            self._write("")
            self._speaking = None


def _line(event: Event) -> str:
    place = " / ".join(part for part in (event.block_id, event.agent) if part)
    return f"{event.type:<20}{place}{_remark(event)}"


def _remark(event: Event) -> str:
    payload = event.payload
    if event.type == "agent.completed":
        usage = payload.get("usage")
        tokens = f", {usage['output_tokens']} tokens" if isinstance(usage, dict) else ""
        return f"  ({payload.get('duration_ms')} ms{tokens})"
    for name in ("message", "reason", "stopped_reason"):
        if isinstance(value := payload.get(name), str) and value:
            return f"  {value}"
    return ""
