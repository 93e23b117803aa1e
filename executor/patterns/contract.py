"""What a pattern is given, and what it gives back.

A pattern module has a config model, `check` (its own semantic problems) and `run`; `PATTERNS` in the package's
`__init__` names them. A pattern is deterministic given what the journal has recorded: it reads no clock, draws no
random number, and orders what came in parallel by `Step.position`.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from executor.calls import AgentCall, Step
from executor.errors import BlockFailed, CeilingReached, InvalidOutput, Problem
from executor.events import Event
from executor.json_types import Json, JsonObject
from executor.prompts import Delivery, write_prompt
from executor.spec import Agent, Block, BlockConfig
from executor.usage import Usage

ConfigT = TypeVar("ConfigT", bound=BlockConfig)
DecisionT = TypeVar("DecisionT", bound=BaseModel)
BranchStatus = Literal["ok", "error", "timeout", "skipped"]


class Caller(Protocol):
    """What makes agent calls and keeps the record: the orchestrator, as patterns see it."""

    async def call(self, call: AgentCall) -> Step:
        """Make the call, or return what is recorded of it. Raises `AgentCallFailed`, `CeilingReached`."""

    def record(self, event_type: Literal["decision"], *, block_id: str, key: str, payload: JsonObject) -> None:
        """Record a decision under its key."""

    def recorded(self, key: str) -> Event | None:
        """The decision that an earlier attempt recorded under this key."""

    def is_recorded(self, call: AgentCall) -> bool:
        """Whether making the call asks nobody: its end is known, with every repair that it took."""


@dataclass(frozen=True)
class BlockInput:
    """What reaches a block: for all its agents, and for single ones (by agent id), each in connection order."""

    shared: tuple[Delivery, ...] = ()
    for_agent: dict[str, tuple[Delivery, ...]] = field(default_factory=dict)

    def of(self, agent: Agent) -> tuple[Delivery, ...]:
        return self.shared + self.for_agent.get(agent.id, ())


@dataclass(frozen=True)
class BlockOutcome:
    """What a pattern returns.

    `agent_outputs` (by agent id) are what connections with a `source_agent` carry; an agent that is not in it did not
    run, and its connections are dead. `details` is what the trace shows beside the output: scores, votes, transcript.
    """

    output: Json
    agent_outputs: dict[str, Json]
    stopped_reason: str = "done"
    details: JsonObject = field(default_factory=dict)


@dataclass
class BlockRun(Generic[ConfigT]):
    """One run of one block: the only thing a pattern talks to."""

    block: Block
    config: ConfigT
    task: str
    input: BlockInput
    caller: Caller
    deadline: float | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def agents(self) -> Sequence[Agent]:
        return self.block.agents

    @property
    def usage(self) -> Usage:
        """What this execution's calls of the block have used; what is reused is not charged again."""
        total = Usage()
        for step in self.steps:
            if not step.reused:
                total = total.plus_call(step.usage, step.cost, calls=step.tries)
        return total

    def prompt(self, agent: Agent, *, instruction: str = "", material: Iterable[Delivery] = ()) -> str:
        """The block's task, what reaches this agent, then `material`, then `instruction`, each under a heading."""
        return write_prompt(task=self.task, deliveries=(*self.input.of(agent), *material), instruction=instruction)

    async def call(self, agent: Agent, prompt: str, *, phase: str, round: int = 0) -> Step:  # noqa: A002 - the key's word
        """One call in the agent's own format. Raises `AgentCallFailed`, and `CeilingReached` at a limit."""
        return await self._call(agent, prompt, phase, round, agent.output_schema)

    def is_recorded(self, agent: Agent, prompt: str, *, phase: str, round: int = 0) -> bool:  # noqa: A002
        """Whether that `call` asks nobody: its end is known, with every repair that it took."""
        call = AgentCall(self.block.id, agent, phase, round, prompt, agent.output_schema)
        return self.caller.is_recorded(call)

    async def decide(
        self,
        agent: Agent,
        prompt: str,
        decision: type[DecisionT],
        *,
        phase: str,
        round: int = 0,  # noqa: A002
    ) -> DecisionT | None:
        """Ask for a decision of that type. None when it is still invalid after every repair: use the fallback.

        Raises `ProviderFailed` and `CeilingReached`.
        """
        try:
            step = await self._call(agent, prompt, phase, round, _schema_of(decision))
            return decision.model_validate(step.output)
        except (InvalidOutput, ValidationError):
            return None

    def record(self, name: str, payload: JsonObject) -> None:
        """Record what was decided and why. `name` is unique in the block's run; a resumed run records it once."""
        key = f"{self.block.id}/{name}"
        if self.caller.recorded(key) is None:
            self.caller.record("decision", block_id=self.block.id, key=key, payload=payload)

    def recorded(self, name: str) -> JsonObject | None:
        """What an earlier attempt recorded under `name`: it wins over deciding again."""
        event = self.caller.recorded(f"{self.block.id}/{name}")
        return None if event is None else event.payload

    async def _call(self, agent: Agent, prompt: str, phase: str, number: int, schema: JsonObject | None) -> Step:
        call = AgentCall(self.block.id, agent, phase, number, prompt, schema, self.deadline)
        if (ceiling := self._ceiling()) is not None and not self.caller.is_recorded(call):
            # An earlier attempt met a ceiling here; what it had not called by then it must not call now.
            raise ceiling
        try:
            step = await self.caller.call(call)
        except CeilingReached as reached:
            self.record("ceiling", {"reason": reached.reason, "message": str(reached)})
            # Parallel calls can meet different ceilings; all report the first, as they will in a resumed run.
            raise self._ceiling() or reached from reached
        self.steps.append(step)
        return step

    def _ceiling(self) -> CeilingReached | None:
        met = self.recorded("ceiling")
        return None if met is None else CeilingReached(str(met["message"]), reason=met["reason"])  # type: ignore[arg-type]  # written by _call


@lru_cache(maxsize=1024)
def _schema_of(decision: type[BaseModel]) -> JsonObject:
    """Writing a schema takes pydantic about a millisecond, more than the rest of a call takes us."""
    return decision.model_json_schema()


@dataclass(frozen=True)
class Pattern(Generic[ConfigT]):
    """A line of the registry: how a block's config looks, what can be wrong with it, how it runs."""

    config: type[ConfigT]
    check: Callable[[Block, ConfigT], list[Problem]]
    run: Callable[[BlockRun[ConfigT]], Awaitable[BlockOutcome]]


AnyPattern = Pattern[Any]


def agent_named(agents: Sequence[Agent], name: str) -> Agent:
    """The agent of that name. Validation has made sure that there is one."""
    for agent in agents:
        if agent.name == name:
            return agent
    raise BlockFailed(f"No agent of this block is named {name!r}.")


def first_with_role(agents: Sequence[Agent], *roles: str) -> Agent | None:
    """The first agent whose role is one of these."""
    return next((agent for agent in agents if agent.role in roles), None)
