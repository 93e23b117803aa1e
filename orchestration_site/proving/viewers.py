"""Clients that watch executions over WebSockets, as many as wanted, and what each of them saw.

They behave as a page does: after a connection that broke off they connect again with `after`. They are watched for gaps
and repetitions in the events that they were shown. Plain asyncio; nothing here needs Django.
"""

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from executor.events import LAST_EVENT_TYPES

NORMAL_CLOSURE = 1_000
RETRY_SECONDS = 0.25
OPEN_SECONDS = 30.0


class Refused(Exception):
    """A viewer was told that it may not watch, or not like this."""


@dataclass
class Viewer:
    """One client, and the seq of every event that it was shown, in the order of their arrival."""

    execution_id: str
    seqs: list[int] = field(default_factory=list)
    last_type: str = ""
    deltas: int = 0
    connections: int = 0
    closings: Counter[int] = field(default_factory=Counter)
    #: Seconds from each event's own time to its arrival, for events that were not replayed.
    lateness: list[float] = field(default_factory=list)

    @property
    def has_seen_all(self) -> bool:
        return self.last_type in LAST_EVENT_TYPES

    @property
    def gaps(self) -> int:
        """Places where an event is missing."""
        return sum(after > before + 1 for before, after in zip([0, *self.seqs], self.seqs, strict=False))

    @property
    def repetitions(self) -> int:
        """Events that were shown again, or after later ones."""
        return sum(after <= before for before, after in zip([0, *self.seqs], self.seqs, strict=False))

    async def watch(self, base_url: str, key: str, notify: Callable[[], None]) -> None:
        """Until the execution's last event. Raises `Refused`."""
        address = f"{base_url.replace('http', 'ws', 1)}/ws/executions/{self.execution_id}"
        headers = {"Authorization": f"Bearer {key}"}
        while not self.has_seen_all:
            after = self.seqs[-1] if self.seqs else 0
            try:
                await self._connect_once(f"{address}?after={after}", headers, notify)
            except InvalidStatus as refusal:
                if refusal.response.status_code < 500:  # the client's mistakes, which repeat
                    raise Refused(f"{refusal.response.status_code}: {refusal.response.body!r}") from None
            except (OSError, InvalidHandshake, TimeoutError):
                pass  # the server is away, or ends while it is asked
            notify()
            if not self.has_seen_all:
                await asyncio.sleep(RETRY_SECONDS)

    async def _connect_once(self, address: str, headers: dict[str, str], notify: Callable[[], None]) -> None:
        quiet: Any = {"compression": None, "proxy": None, "open_timeout": OPEN_SECONDS, "ping_interval": None}
        async with connect(address, additional_headers=headers, **quiet) as socket:
            self.connections += 1
            began = time.time()
            try:
                async for text in socket:
                    self._take(json.loads(text), began)
                    notify()
            except ConnectionClosed:
                pass
            self.closings[socket.close_code or 0] += 1
            if socket.close_code == NORMAL_CLOSURE and not self.has_seen_all:
                raise Refused("The socket was closed as if all had been shown, before the last event.")

    def _take(self, message: dict[str, Any], began: float) -> None:
        if message["type"] == "delta":
            self.deltas += 1
            return
        if message["type"] == "alive":
            return
        self.seqs.append(message["seq"])
        self.last_type = message["type"]
        at = datetime.fromisoformat(message["at"]).timestamp()
        if at > began:
            self.lateness.append(time.time() - at)


@dataclass(frozen=True)
class ViewersReport:
    """What all viewers saw together. `lateness` are seconds from an event's own time to a viewer's eyes."""

    sockets: int
    executions: int
    events: int
    deltas: int
    gaps: int
    repetitions: int
    unfinished: int
    #: Executions of which two viewers saw different numbers of events.
    disagreements: int
    connections: int
    closings: dict[int, int]
    lateness_p50: float
    lateness_p95: float
    lateness_max: float

    @classmethod
    def of(cls, viewers: Sequence[Viewer]) -> Self:
        lateness = sorted(seconds for viewer in viewers for seconds in viewer.lateness) or [0.0]
        ends = {(viewer.execution_id, viewer.seqs[-1] if viewer.seqs else 0) for viewer in viewers}
        executions = {viewer.execution_id for viewer in viewers}
        return cls(
            sockets=len(viewers),
            executions=len(executions),
            events=sum(len(viewer.seqs) for viewer in viewers),
            deltas=sum(viewer.deltas for viewer in viewers),
            gaps=sum(viewer.gaps for viewer in viewers),
            repetitions=sum(viewer.repetitions for viewer in viewers),
            unfinished=sum(not viewer.has_seen_all for viewer in viewers),
            disagreements=len(ends) - len(executions),
            connections=sum(viewer.connections for viewer in viewers),
            closings=dict(sum((viewer.closings for viewer in viewers), Counter[int]())),
            lateness_p50=statistics.median(lateness),
            lateness_p95=lateness[int(len(lateness) * 0.95)],
            lateness_max=lateness[-1],
        )

    @property
    def broken(self) -> bool:
        """Whether anybody missed an event, saw one twice, or never saw the end."""
        return bool(self.gaps or self.repetitions or self.unfinished or self.disagreements)


class Viewers:
    """`sockets` clients, spread evenly over the executions. `async with` connects them, and leaves with them."""

    def __init__(self, base_url: str, key: str, execution_ids: Sequence[str], *, sockets: int) -> None:
        self.viewers = [Viewer(execution_ids[number % len(execution_ids)]) for number in range(sockets)]
        self._base_url, self._key = base_url, key
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(viewer.watch(self._base_url, self._key, self._moved.set)) for viewer in self.viewers
        ]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._moved.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until_each_has_seen(self, events: int, *, seconds: float) -> None:
        """Raises `TimeoutError`, and what a viewer raised."""
        await self.until(lambda: all(len(viewer.seqs) >= events for viewer in self.viewers), seconds=seconds)

    async def until_all_is_seen(self, *, seconds: float) -> ViewersReport:
        """What they saw, once each has seen its execution end and its socket close, or that many seconds are over.

        Raises what a viewer raised.
        """
        with suppress(TimeoutError):  # the report says who has not
            await self.until(lambda: all(task.done() for task in self._tasks), seconds=seconds)
        return ViewersReport.of(self.viewers)

    async def until(self, condition: Callable[[], bool], *, seconds: float) -> None:
        """Wait for what the viewers see to satisfy it. Raises `TimeoutError`, and what a viewer raised."""
        async with asyncio.timeout(seconds):
            while not condition():
                for task in self._tasks:
                    if task.done():
                        task.result()
                self._moved.clear()
                await self._moved.wait()
