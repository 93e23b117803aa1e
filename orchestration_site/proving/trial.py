"""One trial of a scenario: a system, callers, a provider that counts, and what is found at the end."""

import asyncio
import itertools
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from executor.json_types import Json, JsonObject
from orchestration_site.environment import Environment
from orchestration_site.proving.client import SiteClient
from orchestration_site.proving.findings import (
    Findings,
    Record,
    count_announced_again,
    count_unannounced,
    read_records,
)
from orchestration_site.proving.load import Callers, Offered
from orchestration_site.proving.processes import Process, ProcessFailed
from orchestration_site.proving.provider import ASKED, ScriptedProvider
from orchestration_site.proving.stack import EMBEDDED, Stack

BLOCKS = 5
PROGRESS_SECONDS = 2.0
POLL_SECONDS = 0.25
Say = Callable[[str], None]


class Trial:
    """What a scenario works with. `provider` and `stack` are None where the system is somebody else's."""

    def __init__(
        self,
        client: SiteClient,
        *,
        target: str,
        rng: random.Random,
        say: Say,
        model: str,
        stack: Stack | None = None,
        provider: ScriptedProvider | None = None,
        kill_command: str | None = None,
    ) -> None:
        self.client = client
        self.target = target
        self.rng = rng
        self.model = model
        self.deployment_id = ""
        self.kills: list[datetime] = []
        self._say = say
        self._stack = stack
        self._provider = provider
        self._kill_command = kill_command
        self._callers: Callers | None = None
        self._began = time.monotonic()
        self._run = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    @property
    def stack(self) -> Stack:
        """The private system. Raises `RuntimeError` where there is none."""
        if self._stack is None:
            raise RuntimeError("This system is not the trial's own.")
        return self._stack

    @property
    def provider(self) -> ScriptedProvider:
        """The provider. Raises `RuntimeError` where it is not the trial's own."""
        if self._provider is None:
            raise RuntimeError("The provider of this system is not the trial's own.")
        return self._provider

    @property
    def lease_seconds(self) -> float:
        """How long a lease of the private system is."""
        default = Environment.model_fields["lease_seconds"].default
        return float(self.stack.env.get("LEASE_SECONDS", default))

    @property
    def is_private(self) -> bool:
        return self._stack is not None

    @property
    def offered(self) -> Offered:
        return self._callers.offered if self._callers else Offered()

    def say(self, text: str) -> None:
        """Tell whoever looks on, with the time."""
        self._say(f"{time.monotonic() - self._began:6.1f} s  {text}")

    async def run_workers(self, count: int, **variables: object) -> list[Process]:
        """So many new workers, all ready, in place of those that there were; embedded, always the one."""
        await asyncio.to_thread(self.stack.end_workers)
        return await self.add_workers(1 if self.target == EMBEDDED else count, **variables)

    async def add_workers(self, count: int, **variables: object) -> list[Process]:
        """So many workers more, all ready."""
        workers = [self.stack.add_worker(**variables) for _ in range(count)]
        for worker in workers:
            await asyncio.to_thread(self.stack.wait_for, worker)
        return workers

    async def deploy(
        self, *, blocks: int = BLOCKS, settings: JsonObject | None = None, limits: Mapping[str, Any] | None = None
    ) -> None:
        """Deploy a chain of so many blocks, with one call each, for the callers of this trial."""
        path = f"proof-{secrets.token_hex(5)}"
        self.deployment_id = await self.client.deploy(chain(blocks, self.model, settings or {}), path, limits)
        self._callers = Callers(self.client, path)

    def markers(self, count: int) -> list[str]:
        """Names for so many executions more, by which the provider knows them."""
        return [f"{self._run}-{next(self._numbers)}" for _ in range(count)]

    def markers_until(self, kills: int, *, at_least: int) -> Iterator[str]:
        """Names for so many executions at least, and for more, up to as many again, until so many kills were made.

        A kill takes as long as a machine lets it, and load that ends before would show nothing.
        """
        yield from self.markers(at_least)
        for _ in range(at_least):
            if len(self.kills) >= kills:
                return
            yield from self.markers(1)

    async def offer(self, markers: Iterable[str], *, per_second: float, wait_seconds: int = 0) -> None:
        """Call the endpoint once for each marker, patiently, and return when all calls are accepted.

        Each waits so long for its result, and is content with being accepted.
        """
        if self._callers is None:
            raise RuntimeError("Nothing is deployed yet.")
        await self._callers.offer(markers, per_second=per_second, wait_seconds=wait_seconds)

    def has_killed(self, what: str) -> None:
        """Note a kill, now."""
        self.kills.append(datetime.now(UTC))
        self.say(f"{what} (kill {len(self.kills)})")

    async def run_kill_command(self) -> None:
        """Have the operator's own command kill something, if there is one. Raises `ProcessFailed`."""
        if self._kill_command is None:
            return
        self.has_killed(self._kill_command)
        running = await asyncio.create_subprocess_shell(self._kill_command)
        if status := await running.wait():
            raise ProcessFailed(f"The kill command ended with {status}: {self._kill_command}")

    async def until_ended(self, within: float) -> bool:
        """Wait until nothing is queued or running, so many seconds at most; whether it came to that."""
        give_up_at = time.monotonic() + within
        while await self.client.unfinished(self.deployment_id):
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def until(self, holds: Callable[[], bool], *, what: str, within: float = 120.0) -> None:
        """Wait for the condition. Raises `TimeoutError` that names it."""
        give_up_at = time.monotonic() + within
        while not holds():
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{what} did not come within {within:g} seconds.")
            await asyncio.sleep(0.05)

    async def records(self) -> list[Record]:
        """The accepted executions as the site shows them now."""
        known, _ = await read_records(self.client, self._accepted_ids())
        return known

    async def find(self) -> Findings:
        """All that can be found out about the accepted executions."""
        ids = self._accepted_ids()
        records, lost = await read_records(self.client, ids)
        everything = await self.client.executions(self.deployment_id)
        recoveries = [pause for record in records for pause in record.pauses_after(self.kills)]
        return Findings(
            accepted=len(ids),
            records=tuple(sorted(records, key=lambda record: record.created_at)),
            lost=tuple(lost),
            strangers=tuple(set(everything) - set(ids)),
            counted_as_ended=await self.client.ended_count(self.deployment_id),
            repeated_calls=self._count_repeated(records),
            unannounced_calls=self._count_unannounced(records),
            recoveries=tuple(recoveries),
        )

    @asynccontextmanager
    async def beside(self, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Do the work until the end of the block, and raise there what it raised."""
        doing = asyncio.create_task(work)
        try:
            yield
        finally:
            doing.cancel()
            with suppress(asyncio.CancelledError):
                await doing

    @asynccontextmanager
    async def progress(self) -> AsyncIterator[None]:
        """Say every few seconds how far it has come, until the end of the block."""
        async with self.beside(self._tell()):
            yield

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            offered = self.offered
            parts = [f"accepted {len(offered.accepted):,}"]
            shown = await self.client.send("GET", f"/api/deployments/{self.deployment_id}")
            if shown.status == 200:
                parts.append(f"ended {shown.body['execution_count']:,}")
            if self._provider is not None:
                calls, repeated = self._provider.total()
                parts.append(f"model calls {calls:,}, repeated {repeated:,}")
            odd = {status: count for status, count in offered.answers.items() if status != 202}
            parts += [f"answered {status or 'not at all'}: {count}" for status, count in sorted(odd.items())]
            self.say(" · ".join(parts))

    def _accepted_ids(self) -> list[str]:
        return [accepted.execution_id for accepted in self.offered.accepted.values()]

    def _count_repeated(self, records: Sequence[Record]) -> int:
        if self._provider is None:
            return count_announced_again(records)
        return sum(sum(self._calls(record).values()) - len(self._calls(record)) for record in records)

    def _count_unannounced(self, records: Sequence[Record]) -> int:
        return 0 if self._provider is None else sum(count_unannounced(each, self._calls(each)) for each in records)

    def _calls(self, record: Record) -> dict[str, int]:
        return {block_of(step): count for step, count in self.provider.calls_of(record.marker).items()}


def chain(blocks: int, model: str, settings: JsonObject) -> JsonObject:
    """A design of so many blocks one after the other, with one agent each."""
    names = [block_of(step) for step in range(1, blocks + 1)]
    made: list[Json] = [
        {
            "id": name,
            "type": "sequential",
            "data": {
                "label": f"Step {step}",
                "task": ASKED % step,
                "agents": [{"id": "a", "name": "Agent", "model": model, "settings": settings}],
            },
        }
        for step, name in enumerate(names, start=1)
    ]
    connections: list[Json] = [
        {"id": f"{source}-{target}", "source": source, "target": target} for source, target in itertools.pairwise(names)
    ]
    return {"format": 1, "name": "Proof", "blocks": made, "connections": connections}


def block_of(step: int) -> str:
    """The id of the block that makes the call for that step."""
    return f"b{step}"
