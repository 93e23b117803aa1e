"""Builders for tests: designs in one line, and time that jumps.

All builders return the models of `executor.spec`; `executor.document.to_document` makes JSON of them.
"""

import asyncio
import selectors
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from executor.json_types import JsonObject
from executor.patterns import PATTERNS
from executor.spec import Agent, AgentSettings, Block, BlockConfig, BlockData, Connection, Design, Position, Role

ResultT = TypeVar("ResultT")


def make_agent(name: str, role: Role = "worker", **fields: Any) -> Agent:
    """An agent whose id is its name in lower case with dashes, unless `id=` says otherwise.

    `settings` may be a dict: `make_agent("Ann", settings={"tries": 1})`.
    """
    fields.setdefault("id", name.lower().replace(" ", "-"))
    if isinstance(fields.get("settings"), dict):
        fields["settings"] = AgentSettings(**fields["settings"])
    return Agent(name=name, role=role, **fields)


def make_block(
    id: str,  # noqa: A002 - the document's own word
    type: str = "sequential",  # noqa: A002
    *,
    agents: Sequence[Agent | str] | None = None,
    config: BlockConfig | Mapping[str, Any] | None = None,
    task: str = "",
    label: str | None = None,
) -> Block:
    """A block. Agents may be given by name alone; left out, there is one, `worker`. The label defaults to the id.

    `config` may be a dict, which is validated by the pattern's own config model.
    """
    chosen = ["worker"] if agents is None else agents
    settings = config if isinstance(config, BlockConfig) else PATTERNS[type].config.model_validate(dict(config or {}))
    data = BlockData(
        label=id if label is None else label,
        task=task,
        agents=tuple(make_agent(agent) if isinstance(agent, str) else agent for agent in chosen),
        config=settings,
    )
    return Block(id=id, type=type, position=Position(), data=data)


def make_connection(
    source: str,
    target: str,
    *,
    source_agent: str | None = None,
    target_agent: str | None = None,
    id: str | None = None,  # noqa: A002
) -> Connection:
    """A connection between two blocks by id; `source_agent` and `target_agent` are agent ids."""
    name = id or f"{source}.{source_agent or ''}-{target}.{target_agent or ''}"
    return Connection(id=name, source=source, target=target, source_agent=source_agent, target_agent=target_agent)


def make_design(
    blocks: Iterable[Block | str],
    connections: Iterable[Connection | tuple[str, str]] = (),
    *,
    input_schema: JsonObject | None = None,
    name: str = "Test design",
) -> Design:
    """A design. Blocks may be given by id alone, connections as `(source, target)`."""
    return Design(
        name=name,
        input_schema=input_schema,
        blocks=tuple(make_block(block) if isinstance(block, str) else block for block in blocks),
        connections=tuple(
            connection if isinstance(connection, Connection) else make_connection(*connection)
            for connection in connections
        ),
    )


class LoopClock:
    """The running loop's time: real on an ordinary loop, virtual inside `run_in_virtual_time`."""

    def now(self) -> datetime:
        return datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout_at(deadline)


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: the time that would be spent waiting is added to `seconds` instead."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("Deadlock: everything waits, and no timer is set.")
        self.seconds += max(0.0, timeout)
        return super().select(0)


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.seconds


def run_in_virtual_time(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run to the end on a loop where every sleep and timeout takes no real time and order is exact.

    Use it from a test that is not `async`. A deadlock raises at once. No threads and no sockets.
    """
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(coroutine)
