"""The model provider of a proof: it outlives every kill, and counts the calls instead of the system under proof.

Each prompt of a proof's design begins with its marker and its step (`designs.py`).
"""

import asyncio
import contextlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestration_site.proving.mock_provider import ChatRequest, MockProvider, Reply, serve_in_thread

#: What a block asks for, with the template of the marker that the caller puts in.
ASKED = "Proof {{input.marker}} step %d."
LATENCY_SECONDS = 0.2
_ASKED = re.compile(r"Proof (\S+) step (\d+)\.")


@dataclass(frozen=True)
class ModelCall:
    """One call as it came in: who made it, for which execution and step; `number` counts those for that step."""

    caller: str
    marker: str
    step: int
    number: int


class ScriptedProvider:
    """Answers each call after `latency` seconds, unless it is told otherwise. Its methods are for any thread."""

    def __init__(self) -> None:
        self._calls: Counter[tuple[str, int]] = Counter()
        self._in_flight: set[ModelCall] = set()
        self._lock = threading.Lock()
        self._server: MockProvider | None = None
        self.calm()

    def calm(self) -> None:
        """Answer everything, and as quickly, as at first."""
        self.latency = LATENCY_SECONDS
        #: Which calls never get an answer.
        self.hangs: Callable[[ModelCall], bool] = lambda call: False
        #: Told of every call as it comes in, on the provider's own thread.
        self.on_call: Callable[[ModelCall], None] = lambda call: None
        self._held: frozenset[int] = frozenset()

    @property
    def base_url(self) -> str:
        if self._server is None:
            raise RuntimeError("The provider does not serve yet.")
        return self._server.base_url

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve on a thread, until the end of the block."""
        with serve_in_thread(self._answer) as self._server:
            yield

    def hold(self, *steps: int) -> None:
        """Leave calls for these steps without an answer until this is called with others, or with none."""
        self._held = frozenset(steps)

    def calls_of(self, marker: str) -> dict[int, int]:
        """How often each step of that execution was asked for."""
        with self._lock:
            return {step: count for (owner, step), count in self._calls.items() if owner == marker}

    def total(self) -> tuple[int, int]:
        """How many calls there were, and how many of them repeated one."""
        with self._lock:
            calls, distinct = self._calls.total(), len(self._calls)
        return calls, calls - distinct

    def in_flight(self, caller: str | None = None) -> list[ModelCall]:
        """The calls that wait for their answer, all or one worker's."""
        with self._lock:
            return [call for call in self._in_flight if caller in (None, call.caller)]

    async def _answer(self, request: ChatRequest) -> Reply | None:
        call = self._note(request)
        if call is None:
            return None
        try:
            self.on_call(call)
            await self._wait(call)
        finally:
            with self._lock:
                self._in_flight.discard(call)
        return Reply(text=f"The result of step {call.step} for {call.marker}")

    def _note(self, request: ChatRequest) -> ModelCall | None:
        asked = _ASKED.search(request.last_user_text)
        if asked is None:
            return None
        marker, step = asked[1], int(asked[2])
        caller = request.headers.get("authorization", "").removeprefix("Bearer ")
        with self._lock:
            self._calls[marker, step] += 1
            call = ModelCall(caller, marker, step, self._calls[marker, step])
            self._in_flight.add(call)
        return call

    async def _wait(self, call: ModelCall) -> None:
        await asyncio.sleep(self.latency)
        while call.step in self._held:  # noqa: ASYNC110 - other threads say when it is over
            await asyncio.sleep(0.02)
        if self.hangs(call):
            await asyncio.Event().wait()
