"""Callers of an endpoint who do not give up: each repeats its call, under one idempotency key, until it is accepted."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestration_site.proving.client import AWAY, Answer, SiteClient

PAUSE_SECONDS = 0.25
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Accepted:
    """A call that was accepted. `seconds` is how long the answer took that said so."""

    marker: str
    execution_id: str
    seconds: float
    tries: int


@dataclass
class Offered:
    """What the callers have seen so far. `answers` counts all answers by status; 0: none came."""

    accepted: dict[str, Accepted] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    #: 503s that did not say when to try again.
    without_retry_after: int = 0

    @property
    def server_errors(self) -> Counter[int]:
        """The answers that no outage may be answered with: 5xx other than 503."""
        return Counter({status: count for status, count in self.answers.items() if status >= 500 and status != 503})


class Callers:
    """Calls one endpoint with `{"marker": …}`."""

    def __init__(self, client: SiteClient, path: str) -> None:
        self._client = client
        self._path = f"/api/deployed/{path}"
        self.offered = Offered()

    async def offer(self, markers: Iterable[str], *, per_second: float, wait_seconds: int = 0) -> None:
        """Make a call for each marker, so many a second whatever becomes of the others, until all are answered.

        Each waits so long for its result, and is content with being accepted.
        """
        began = time.monotonic()
        async with asyncio.TaskGroup() as calls:
            for number, marker in enumerate(markers):
                await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
                calls.create_task(self._call(marker, wait_seconds))

    async def _call(self, marker: str, wait_seconds: int) -> None:
        give_up_at, tries = time.monotonic() + PATIENCE_SECONDS, 0
        while time.monotonic() < give_up_at:
            tries += 1
            began = time.monotonic()
            answer = await self._send(marker, wait_seconds)
            if (execution_id := _execution_of(answer)) is not None:
                self.offered.accepted[marker] = Accepted(marker, execution_id, time.monotonic() - began, tries)
                return
            if answer.status not in AWAY and answer.status < 500:
                self.offered.refused.append(f"{marker} was answered with {answer.status}")
                return
            await asyncio.sleep(answer.retry_after or PAUSE_SECONDS)
        self.offered.refused.append(f"{marker} was not accepted in {PATIENCE_SECONDS:g} seconds")

    async def _send(self, marker: str, wait_seconds: int) -> Answer:
        preference = f"wait={wait_seconds}" if wait_seconds else "respond-async"
        headers = {"Prefer": preference, "Idempotency-Key": marker}
        answer = await self._client.send("POST", self._path, body={"marker": marker}, headers=headers)
        self.offered.answers[202 if _execution_of(answer) else answer.status] += 1
        if answer.status == 503 and answer.retry_after is None:
            self.offered.without_retry_after += 1
        return answer


def _execution_of(answer: Answer) -> str | None:
    """The execution that was accepted: named by its own failure too, should a repeated call come only after it."""
    return answer.body.get("execution_id") if isinstance(answer.body, dict) else None
