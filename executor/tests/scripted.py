"""A `Caller` whose agents answer from a script, for tests of patterns that need no engine around them.

It keeps an `InMemoryJournal` as the engine does: every result and decision is recorded under its key, and a call that
is recorded is answered from the record. Hand a prefix of `caller.journal.events` to another one to resume from it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, TypeAlias

from jsonschema import Draft202012Validator

from executor.calls import AgentCall, Step
from executor.errors import AgentCallFailed, CeilingReached, InvalidOutput, ProviderFailed, RepeatedKey
from executor.events import Event, EventType, RecordedEvent
from executor.journal import InMemoryJournal
from executor.json_types import Json, JsonObject
from executor.patterns.contract import BlockInput, BlockRun
from executor.prompts import as_text
from executor.providers.contract import TokenUsage
from executor.spec import Agent, Block, BlockConfig
from executor.tests.builders import make_block
from executor.usage import Usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE_EACH = TokenUsage(1, 1)

Answer: TypeAlias = "Json | Exception"
Script: TypeAlias = "Mapping[tuple[str, str, int] | tuple[str, str] | str, Answer | Callable[[AgentCall], Answer]]"


class ScriptedCaller:
    """Answers by the call's key, else `(agent name, phase, round)`, `(agent name, phase)`, `agent name`, or `default`.

    An answer is a value, an error to raise, or a function of the call that returns one of these. Where the call has a
    schema that the value does not satisfy, the call fails with `InvalidOutput`, as the engine's does after every
    repair. `calls` lists the calls that were really made (not replayed), by their start; `running` and `peak` count
    those at work at once. `max_calls` of them are allowed, then `CeilingReached` is raised. `hold` is awaited before an
    answer is given (sleep there in virtual time). Each answer uses `tokens` and `cost`.
    """

    def __init__(
        self,
        script: Script,
        recorded: Iterable[RecordedEvent] = (),
        *,
        default: Callable[[AgentCall], Answer] | None = None,
        hold: Callable[[AgentCall], Awaitable[None]] | None = None,
        max_calls: int | None = None,
        tokens: TokenUsage = ONE_EACH,
        cost: Decimal | None = None,
    ) -> None:
        self.script = script
        self.default = default
        self.hold = hold
        self.tokens = tokens
        self.cost = cost
        self.usage = Usage()
        self.running = 0
        self.peak = 0
        self.journal = InMemoryJournal(recorded)
        self.max_calls = max_calls
        self.calls: list[AgentCall] = []
        self.cancelled: list[str] = []
        self._keys: set[str] = set()
        self._gates: dict[str, asyncio.Event] = {}
        self._arrivals: dict[str, asyncio.Event] = {}

    def gate(self, agent: str) -> asyncio.Event:
        """Hold that agent's calls until the returned event is set."""
        return self._gates.setdefault(agent, asyncio.Event())

    async def arrival(self, agent: str) -> None:
        """Wait until that agent has been called."""
        await self._arrivals.setdefault(agent, asyncio.Event()).wait()

    def made(self) -> list[tuple[str, str, int]]:
        """The calls made, as `(agent name, phase, round)`."""
        return [(call.agent.name, call.phase, call.round) for call in self.calls]

    def prompts(self, agent: str | None = None) -> list[str]:
        """What that agent was asked, call by call; without one, what all were."""
        return [call.prompt for call in self.calls if agent in (None, call.agent.name)]

    def decisions(self) -> dict[str, JsonObject]:
        """The payloads of the decisions recorded, by their key."""
        events = [entry.event for entry in self.journal.events if entry.event.type == "decision"]
        return {event.key or "": event.payload for event in events}

    async def call(self, call: AgentCall) -> Step:
        if call.key in self._keys:
            raise RepeatedKey(f"The key {call.key!r} was used twice in one run.")
        self._keys.add(call.key)
        await asyncio.sleep(0)
        if (entry := self.journal.result_of(call.key)) is not None:
            return self._replay(call, entry)
        return await self._ask(call)

    def record(self, event_type: Literal["decision"], *, block_id: str, key: str, payload: JsonObject) -> None:
        self.journal.append(Event(event_type, NOW, block_id=block_id, key=key, payload=payload))

    def recorded(self, key: str) -> Event | None:
        entry = self.journal.result_of(key)
        return None if entry is None else entry.event

    def is_recorded(self, call: AgentCall) -> bool:
        return self.journal.result_of(call.key) is not None

    async def _ask(self, call: AgentCall) -> Step:
        if self.max_calls is not None and len(self.calls) >= self.max_calls:
            raise CeilingReached(f"The limit of {self.max_calls} calls is used up.", reason="max_calls")
        self.calls.append(call)
        self._append("agent.started", call, {})
        self._arrivals.setdefault(call.agent.name, asyncio.Event()).set()
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await self._wait(call)
            return self._finish(call, self._answer(call))
        finally:
            self.running -= 1

    async def _wait(self, call: AgentCall) -> None:
        try:
            if (gate := self._gates.get(call.agent.name)) is not None:
                await gate.wait()
            if self.hold is not None:
                await self.hold(call)
        except asyncio.CancelledError:
            self.cancelled.append(call.agent.name)
            raise

    def _answer(self, call: AgentCall) -> Answer:
        name = call.agent.name
        for key in (call.key, (name, call.phase, call.round), (name, call.phase), name):
            if key in self.script:
                entry = self.script[key]
                return entry(call) if callable(entry) else entry
        if self.default is not None:
            return self.default(call)
        raise AssertionError(f"The script has no answer of {name!r} for {call.phase!r}, round {call.round}.")

    def _finish(self, call: AgentCall, answer: Answer) -> Step:
        if isinstance(answer, Exception) and not isinstance(answer, AgentCallFailed):
            raise answer
        if not isinstance(answer, AgentCallFailed) and not _satisfies(answer, call.schema):
            answer = invalid(call.agent.name)
        if isinstance(answer, AgentCallFailed):
            self._append("agent.failed", call, {"message": str(answer), "code": answer.code})
            raise answer
        position = self._append("agent.completed", call, {"output": answer})
        return self._step(call, answer, position, replayed=False)

    def _replay(self, call: AgentCall, entry: RecordedEvent) -> Step:
        payload = entry.event.payload
        if entry.event.type == "agent.completed":
            return self._step(call, payload["output"], entry.position, replayed=True)
        if payload["code"] == "invalid_output":
            raise invalid(call.agent.name)
        raise failed(call.agent.name, str(payload["message"]), code=str(payload["code"]))

    def _step(self, call: AgentCall, output: Json, position: int, *, replayed: bool) -> Step:
        self.usage = self.usage.plus_call(self.tokens, self.cost)
        return Step(
            key=call.key,
            block_id=call.block_id,
            agent_id=call.agent.id,
            agent=call.agent.name,
            phase=call.phase,
            round=call.round,
            prompt=call.prompt,
            output=output,
            text=as_text(output),
            model="script:one",
            usage=self.tokens,
            cost=self.cost,
            duration_ms=1,
            tries=1,
            position=position,
            replayed=replayed,
        )

    def _append(self, event_type: EventType, call: AgentCall, payload: JsonObject) -> int:
        event = Event(event_type, NOW, block_id=call.block_id, agent=call.agent.name, key=call.key, payload=payload)
        return self.journal.append(event)


def _satisfies(answer: Json, schema: JsonObject | None) -> bool:
    return schema is None or Draft202012Validator(schema).is_valid(answer)


def failed(agent: str, message: str = "The provider is away.", *, code: str = "provider_error") -> ProviderFailed:
    """An answer for the script: the provider fails."""
    return ProviderFailed(message, code=code, block_id="block", agent=agent)


def invalid(agent: str) -> InvalidOutput:
    """An answer for the script: nothing the model says satisfies the schema."""
    return InvalidOutput("The answer is not valid.", code="invalid_output", block_id="block", agent=agent)


def make_pattern_block(
    pattern: str, agents: Sequence[Agent], config: BlockConfig | Mapping[str, object] | None = None
) -> Block:
    """A block `block` of that pattern, for tests that need no design around it."""
    return make_block("block", pattern, agents=agents, config=config, task="The task.", label="Block")


def make_run(block: Block, caller: ScriptedCaller, block_input: BlockInput | None = None) -> BlockRun[BlockConfig]:
    """A run of the block, as the engine makes one: `await PATTERNS[block.type].run(make_run(block, caller))`."""
    return BlockRun(block, block.data.config, block.data.task, block_input or BlockInput(), caller)
