"""Builders for tests: designs in one line, a caller that plays a script, and time that jumps.

All builders return the models of `executor.spec`; `executor.document.to_document` makes JSON of them.
"""

import asyncio
import json
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeVar

from executor.calls import AgentCall, Step
from executor.errors import RepeatedKey
from executor.events import Event
from executor.json_types import Json, JsonObject
from executor.patterns import PATTERNS
from executor.providers.contract import TokenUsage
from executor.spec import Agent, AgentSettings, Block, BlockConfig, BlockData, Connection, Design, Position, Role
from executor.usage import Usage

ResultT = TypeVar("ResultT")
Script = Mapping[str, Any] | Callable[[AgentCall], Any]


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


class ScriptedCaller:
    """A `Caller` that plays a script, remembers what it was asked, and keeps decisions in memory.

    The script is a function of the call, or a mapping from an agent's name (or a whole call key) to what it answers:
    a value, an exception to raise, or a list of these, one a call and the last for ever. Each may depend on the
    call: a function is called with it. `hold` is awaited before an answer is given (sleep there in virtual time).
    With `checkpoints` of an earlier caller a call that it answered is replayed and not asked again.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        hold: Callable[[AgentCall], Awaitable[None]] | None = None,
        checkpoints: Mapping[str, Step] | None = None,
        decisions: Mapping[str, Event] | None = None,
        tokens: TokenUsage | None = None,
        cost: Decimal | None = Decimal(0),
    ) -> None:
        self.script: Script = {} if script is None else script
        self.hold = hold
        self.tokens = tokens or TokenUsage(input_tokens=10, output_tokens=5)
        self.cost = cost
        self.calls: list[AgentCall] = []
        self.checkpoints: dict[str, Step] = dict(checkpoints or {})
        self.decisions: dict[str, Event] = dict(decisions or {})
        self.usage = Usage()
        self.running = 0
        self.peak = 0
        self._asked: set[str] = set()
        self._turns: dict[str, int] = {}
        self._position = 0

    @property
    def prompts(self) -> list[str]:
        return [call.prompt for call in self.calls]

    def prompts_of(self, agent: str) -> list[str]:
        """What the agent of that name was asked, in order."""
        return [call.prompt for call in self.calls if call.agent.name == agent]

    async def call(self, call: AgentCall) -> Step:
        if call.key in self._asked:
            raise RepeatedKey(f"The key {call.key!r} was used twice.")
        self._asked.add(call.key)
        if call.key in self.checkpoints:
            self._count(self.checkpoints[call.key])
            return self.checkpoints[call.key]
        self.calls.append(call)
        answer = await self._held_answer(call)
        if isinstance(answer, Exception):
            raise answer
        self._position += 1
        step = self._step(call, answer)
        self.checkpoints[call.key] = step
        self._count(step)
        return step

    def record(self, event_type: Literal["decision"], *, block_id: str, key: str, payload: JsonObject) -> None:
        if key in self.decisions:
            raise RepeatedKey(f"The decision {key!r} was recorded twice.")
        self.decisions[key] = Event(event_type, datetime(2025, 1, 1, tzinfo=UTC), block_id, None, key, payload)

    def recorded(self, key: str) -> Event | None:
        return self.decisions.get(key)

    def _count(self, step: Step) -> None:
        self.usage = self.usage.plus_call(step.usage, step.cost, calls=step.tries)

    async def _held_answer(self, call: AgentCall) -> Any:
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if self.hold is not None:
                await self.hold(call)
            return self._answer(call)
        finally:
            self.running -= 1

    def _answer(self, call: AgentCall) -> Any:
        if not isinstance(self.script, Mapping):
            return self.script(call)
        name = call.key if call.key in self.script else call.agent.name
        answer = self.script.get(name, f"{call.agent.name} of {call.block_id}")
        if isinstance(answer, list):
            turn = self._turns.get(name, 0)
            self._turns[name] = turn + 1
            answer = answer[min(turn, len(answer) - 1)]
        return answer(call) if callable(answer) else answer

    def _step(self, call: AgentCall, output: Json) -> Step:
        return Step(
            key=call.key,
            block_id=call.block_id,
            agent_id=call.agent.id,
            agent=call.agent.name,
            phase=call.phase,
            round=call.round,
            prompt=call.prompt,
            output=output,
            text=output if isinstance(output, str) else json.dumps(output),
            model=call.agent.model or "scripted:model",
            usage=self.tokens,
            cost=self.cost,
            duration_ms=0,
            tries=1,
            position=self._position,
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
