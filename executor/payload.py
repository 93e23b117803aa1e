"""The bytes that one execution holds: bounded while they come in, for teams share the memory of a worker.

Counted are its input, the texts of the blocks that run, the prompts and answers of its calls, and the outputs of its
blocks. Text counts as UTF-8, and every list and object by itself: many small ones take far more than their JSON. What
Python takes for all of it is a few times that.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from executor.errors import PayloadExceeded
from executor.events import Event
from executor.json_types import Json

#: What an empty list or object takes, and what a part of one does at most beside its text.
PART_BYTES = 64


class Payload:
    """Counts what one execution holds. No await stands between the check and the count, so it is exact."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = max_bytes
        self.held = 0

    def hold(self, size: int, what: str) -> None:
        """Count `size` bytes more. Raises `PayloadExceeded`, and counts nothing, where they are too many."""
        if self.max_bytes is not None and self.held + size > self.max_bytes:
            raise PayloadExceeded(_sentence(self.max_bytes, self.held, size, what))
        self.held += size

    def release(self, size: int) -> None:
        """These bytes are not held any more."""
        self.held -= size

    @contextmanager
    def holding(self, size: int, what: str) -> Iterator[None]:
        """Count the bytes until the end of the block. Raises `PayloadExceeded`."""
        self.hold(size, what)
        try:
            yield
        finally:
            self.release(size)

    @contextmanager
    def receiving(self, what: str) -> Iterator["Incoming"]:
        """Count an answer as it comes. It stays counted as what it came to, unless it failed."""
        incoming = Incoming(self, what)
        try:
            yield incoming
        except BaseException:
            self.release(incoming.size)
            raise


class Incoming:
    """What is held of one answer that is coming."""

    def __init__(self, payload: Payload, what: str) -> None:
        self.size = 0
        self._payload = payload
        self._what = what

    def grow_to(self, size: int) -> None:
        """So much of it is held by now, whoever has counted. Raises `PayloadExceeded`."""
        if size > self.size:
            self._payload.hold(size - self.size, self._what)
            self.size = size

    def come_to(self, size: int) -> None:
        """It is complete, and so large. Raises `PayloadExceeded`."""
        self.grow_to(size)
        self._payload.release(self.size - size)
        self.size = size


def text_size(text: str) -> int:
    """The bytes of a text."""
    # A lone surrogate that came in with the execution's input must not stop the count.
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def size_of(value: Json) -> int:
    """About the bytes of a value."""
    if isinstance(value, str):
        return text_size(value)
    size = 0
    stack: list[Json] = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, str):
            size += 3 + text_size(current)
        elif isinstance(current, dict):
            size += PART_BYTES + sum(3 + text_size(name) for name in current)
            stack.extend(current.values())
        elif isinstance(current, list):
            size += PART_BYTES
            stack.extend(current)
        else:
            size += 2 + (current.bit_length() // 3 if isinstance(current, int) else 8)
    return size


def parsed_size(text: str) -> int:
    """What a text takes at most as the value that it is the JSON of, beside itself: known before it is parsed."""
    return PART_BYTES * sum(text.count(mark) for mark in "[{,")


def recorded_size(event: Event) -> int:
    """What an event of an earlier attempt, or of another execution, counts for: as much as when it was recorded."""
    payload = event.payload
    if event.type in ("agent.completed", "agent.failed", "agent.reusable"):
        prompt = size_of(payload.get("prompt") or "")
        if isinstance(text := payload.get("text"), str):  # the output is a value of its own
            return prompt + text_size(text) + parsed_size(text)
        return prompt + size_of(payload.get("output") or "")
    return size_of(payload.get("output")) if event.type == "block.completed" else 0


def _sentence(max_bytes: int, held: int, size: int, what: str) -> str:
    return (
        f"This execution may hold {max_bytes:,} bytes. It held {held:,}, and {what} would add {size:,} or more. Let it"
        " work on less at a time: a smaller input, shorter answers, fewer agents or rounds. Or raise max_payload_bytes"
        " in the limits of its deployment."
    )
